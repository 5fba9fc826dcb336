#include <grpc/support/log.h>
#include <malloc.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <climits>
#include <csignal>
#include <cstdio>
#include <string>

#include "absl/synchronization/mutex.h"
#include "client/agent/agent.h"
#include "client/agent/log.h"
#include "client/agent/metrics.h"
#include "client/channel.h"
#include "core/base/status_macros.h"
#include "proto/convert/model.h"

namespace advisor::client {
namespace {

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;

// Fresh pages are dear: memory once taken is kept, so that steady work faults none in. One arena:
// others give their tops back whatever is set here, and the agent has few threads to share it.
void TuneMalloc() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 4 << 20);
  mallopt(M_ARENA_MAX, 1);
}

// Debian builds abseil with its detection of deadlocks: a graph of all locks held, updated at every
// lock that gRPC takes.
void SwitchOffDeadlockDetection() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
}

// gRPC's own lines are for its developers; what an operator needs is in our errors.
void LogGrpc(gpr_log_func_args* args) { spdlog::debug("grpc: {}", args->message); }

struct Flags {
  AgentOptions agent;
  ChannelOptions daemon;
  std::string apply = "auto";
  std::string http;
  double reconnect_min_s = 1, reconnect_max_s = 60;
};

void AddFlags(CLI::App* app, Flags* flags) {
  app->add_option("--deployment", flags->agent.deployment, "Deployment this node belongs to")
      ->required();
  app->add_option("--node", flags->agent.node, "Name of this node in the deployment's topology")
      ->required();
  app->add_option("--id", flags->agent.id,
                  "Identity towards the daemon, stable across restarts; default: the node's name");
  app->add_option("--socket", flags->agent.socket, "Unix socket that engines report to")
      ->capture_default_str();
  app->add_option("--plan-file", flags->agent.plan_file,
                  "File that holds the plan in force, replaced atomically")
      ->capture_default_str();
  app->add_option("--apply", flags->apply,
                  "auto: a plan counts as applied once handed over, for engines that only read it; "
                  "engine: when the "
                  "engines confirm it")
      ->check(CLI::IsMember({"auto", "engine"}))
      ->capture_default_str();
  app->add_option("--engines", flags->agent.engines,
                  "Engine processes of this node that confirm, with --apply engine")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app->add_flag("--restart-only", flags->agent.restart_only,
                "The engine takes a new placement only at its next start");
  app->add_option("--reconnect-min", flags->reconnect_min_s,
                  "Shortest bound of the pause before connecting again, seconds")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app->add_option("--reconnect-max", flags->reconnect_max_s, "Longest bound of that pause, seconds")
      ->check(CLI::Range(0.001, 3600.0))
      ->capture_default_str();
  app->add_option("--http", flags->http,
                  "Serve /metrics and /healthz there, HOST:PORT; default: not at all");
  AddChannelFlags(app, &flags->daemon);
  app->set_version_flag("--version", std::string("advisor-agent ") + ADVISOR_VERSION);
}

absl::Status Serve(Flags flags, sigset_t* stop_signals) {
  RETURN_IF_ERROR(ValidateId("--deployment", flags.agent.deployment));
  SetUpLog(flags.agent.deployment);
  flags.agent.wait_for_engines = flags.apply == "engine";
  flags.agent.streams.reconnect_min = absl::Seconds(flags.reconnect_min_s);
  flags.agent.streams.reconnect_max = absl::Seconds(flags.reconnect_max_s);
  flags.daemon.reconnect_min = flags.agent.streams.reconnect_min;
  flags.daemon.reconnect_max = flags.agent.streams.reconnect_max;
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel, MakeChannel(flags.daemon));
  ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent, Agent::Start(flags.agent, channel));
  std::unique_ptr<MetricsServer> metrics;
  if (!flags.http.empty()) {
    ASSIGN_OR_RETURN(metrics, MetricsServer::Start(flags.http, [&] { return agent->Status(); }));
    spdlog::info("metrics on port {}", metrics->port());
  }
  spdlog::info("advisor-agent {} for node {} of {}: engines at {}, daemon at {}", ADVISOR_VERSION,
               flags.agent.node, flags.agent.deployment, flags.agent.socket, flags.daemon.server);
  int signal = 0;
  sigwait(stop_signals, &signal);
  spdlog::info("stopping on signal {}", signal);
  return absl::OkStatus();
}

int Run(const Flags& flags, sigset_t* stop_signals) {
  if (const absl::Status status = Serve(flags, stop_signals); !status.ok()) {
    std::fprintf(stderr, "advisor-agent: %s\n", std::string(status.message()).c_str());
    return kFailed;
  }
  return kDone;
}

}  // namespace
}  // namespace advisor::client

int main(int argc, char** argv) {
  advisor::client::TuneMalloc();
  advisor::client::SwitchOffDeadlockDetection();
  // Blocked in every thread that starts from here on, so that only sigwait() sees them.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  gpr_set_log_function(&advisor::client::LogGrpc);
  CLI::App app(
      "Sidecar beside one inference server: counts its expert choices, reports them to advisord "
      "and hands plans "
      "back.\nExit codes: 0 done, 1 failed, 2 wrong usage.");
  advisor::client::Flags flags;
  advisor::client::AddFlags(&app, &flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? advisor::client::kDone : advisor::client::kWrongUsage;
  }
  return advisor::client::Run(std::move(flags), &stop_signals);
}
