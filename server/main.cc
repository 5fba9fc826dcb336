#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "core/io/atomic_file.h"
#include "server/config.h"
#include "server/observe/log.h"
#include "server/server.h"
#include "server/version.h"

namespace advisor::server {
namespace {

struct Flags {
  std::string config, listen, http, store, ports_file;
  std::vector<std::string> deployments;
  bool allow_insecure = false;
};

// glibc gives large freed buffers back to the kernel and faults them in again, message after
// message; a streaming server then spends most of its time there. The price is memory that stays
// at its high-water mark.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

// Debian builds abseil with its detection of deadlocks: a graph of all locks held, updated at every
// lock that gRPC takes.
void SwitchOffDeadlockDetection() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

void LogGrpc(gpr_log_func_args* args) {
  Log(LogLevel::kDebug, "", absl::StrCat("grpc: ", args->message));
}

// Malformed strings of peers are refused where they are read; a line for each would let a peer fill
// the log.
void LogProtobuf(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  Log(LogLevel::kDebug, "", absl::StrCat("protobuf: ", message));
}

int Fail(const absl::Status& status) {
  std::cerr << "advisord: " << std::string(status.message()) << "\n";
  return 1;
}

// Blocked before any thread starts, so that they wait for WaitForStop().
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Returns at the first stop signal; a second one kills.
std::string WaitForStop(const sigset_t& signals) {
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  return strsignal(signal_number);
}

absl::StatusOr<ServerOptions> OptionsFrom(const Flags& flags) {
  ServerOptions options;
  if (!flags.config.empty()) {
    absl::StatusOr<DaemonConfig> config = ReadConfig(flags.config);
    if (!config.ok()) {
      return config.status();
    }
    options.config = *std::move(config);
  }
  const auto override_with = [](const std::string& flag, std::string* value) {
    if (!flag.empty()) {
      *value = flag;
    }
  };
  override_with(flags.listen, &options.config.listen);
  override_with(flags.http, &options.config.http);
  override_with(flags.store, &options.config.store);
  for (const std::string& file : flags.deployments) {
    options.config.deployments.push_back({file, options.config.defaults});
  }
  options.allow_insecure = flags.allow_insecure;
  absl::StatusOr<std::vector<ConfiguredDeployment>> deployments = ReadDeployments(options.config);
  if (!deployments.ok()) {
    return deployments.status();
  }
  options.deployments = *std::move(deployments);
  options.machine = MakeEngineMachine();
  return options;
}

int Serve(const Flags& flags) {
  const sigset_t signals = BlockStopSignals();
  gpr_set_log_function(LogGrpc);
  google::protobuf::SetLogHandler(LogProtobuf);
  absl::StatusOr<ServerOptions> options = OptionsFrom(flags);
  if (!options.ok()) {
    return Fail(options.status());
  }
  SetLogLevel(options->config.log_level);
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(*std::move(options));
  if (!server.ok()) {
    return Fail(server.status());
  }
  const std::string ports =
      absl::StrCat("grpc=", (*server)->grpc_address(), " http=", (*server)->http_address());
  if (!flags.ports_file.empty()) {
    const absl::Status written = WriteFileAtomically(flags.ports_file, ports + "\n");
    if (!written.ok()) {
      return Fail(written);
    }
  }
  std::cout << "advisord: listening " << ports << std::endl;
  const std::string signal_name = WaitForStop(signals);
  Log(LogLevel::kInfo, "", absl::StrCat("stopping: ", signal_name));
  (*server)->Drain();
  Log(LogLevel::kInfo, "", "stopped");
  return 0;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("The placement advisor's daemon: takes reports, solves, publishes plans.",
               "advisord");
  app.add_option("--config", flags.config, "Daemon configuration (YAML)")->check(CLI::ExistingFile);
  app.add_option("--deployment", flags.deployments, "Deployment file or folder; may be repeated");
  app.add_option("--listen", flags.listen, "gRPC: HOST:PORT or unix:PATH (default 127.0.0.1:9470)");
  app.add_option("--http", flags.http,
                 "Metrics, health, status page: HOST:PORT (default 127.0.0.1:9471)");
  app.add_option("--store", flags.store,
                 "Database of plans (default /var/lib/advisor/advisord.db)");
  app.add_option("--ports-file", flags.ports_file, "Write the addresses listened on to this file");
  app.add_flag("--allow-insecure", flags.allow_insecure,
               "Listen off loopback without TLS: anyone who reaches the port can do anything");
  app.set_version_flag("--version", absl::StrCat("advisord ", kVersion));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return Serve(flags);
}

}  // namespace
}  // namespace advisor::server

int main(int argc, char** argv) {
  advisor::server::KeepFreedMemory();
  advisor::server::SwitchOffDeadlockDetection();
  return advisor::server::Main(argc, argv);
}
