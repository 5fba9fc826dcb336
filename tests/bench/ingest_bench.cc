// What a report frame costs the daemon, beside a null server that only parses it and acknowledges.
//
// Starts each server as a process of its own on loopback, opens report streams that send frames as
// fast as credits allow, and reads the server's CPU time from /proc. Prints one line per server and
// frame size. Both servers and the senders share this machine.

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "advisor/v1/report.grpc.pb.h"
#include "core/base/rng.h"
#include "proto/convert/counts.h"
#include "proto/convert/report.h"

extern char** environ;

namespace advisor {
namespace {

using std::chrono::steady_clock;

constexpr int kLayers = 58, kExperts = 256, kTopK = 8, kNodes = 8;
constexpr int kBlockTokens = 512;  // one byte per count: a block is some 14.5 kB
constexpr int kAckEvery = 4;       // the daemon's default

// ---- The null server

class NullReactor final : public grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse> {
 public:
  NullReactor() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    const uint64_t seq = request_.frame().seq_last();
    if (request_.has_hello() || seq % kAckEvery == 0) {
      std::lock_guard<std::mutex> lock(mutex_);
      wanted_ = true;
      acked_ = seq;
      WriteIfIdle();
    }
    StartRead(&request_);
  }
  void OnWriteDone(bool) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    WriteIfIdle();
  }
  void OnDone() override { delete this; }

 private:
  void WriteIfIdle() {
    if (!wanted_ || writing_) {
      return;
    }
    wanted_ = false;
    writing_ = true;
    if (acked_ == 0) {
      response_.mutable_hello_ack()->set_credits(8);
    } else {
      response_.mutable_frame_ack()->set_acked_seq(acked_);
    }
    StartWrite(&response_);
  }

  v1::ReportRequest request_;
  std::mutex mutex_;
  v1::ReportResponse response_;  // guarded by mutex_, like all below
  uint64_t acked_ = 0;
  bool wanted_ = false, writing_ = false;
};

class NullService final : public v1::ReportService::CallbackService {
  grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse>* Report(
      grpc::CallbackServerContext*) override {
    return new NullReactor();
  }
};

int ServeNull() {
  NullService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::cout << "null: listening grpc=127.0.0.1:" << port << " http=" << std::endl;
  server->Wait();
  return 0;
}

// ---- Processes

class ServerProcess {
 public:
  // Starts a server that tells its address on stdout: "... grpc=HOST:PORT ...".
  explicit ServerProcess(std::vector<std::string> command) {
    std::vector<char*> argv;
    for (std::string& argument : command) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    int out[2];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (pipe2(out, O_CLOEXEC) != 0 || posix_spawn_file_actions_adddup2(&actions, out[1], 1) != 0 ||
        posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ) != 0) {
      std::cerr << "ingest_bench: cannot start " << command[0] << "\n";
      std::exit(1);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    std::string line;
    for (char c; read(out[0], &c, 1) == 1 && c != '\n';) {
      line += c;
    }
    close(out[0]);
    const size_t begin = line.find("grpc=") + 5;
    address_ = line.substr(begin, line.find(' ', begin) - begin);
  }
  ~ServerProcess() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  const std::string& address() const { return address_; }
  // User and system time so far.
  double CpuSeconds() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
    std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) {
      fields >> skipped;
    }
    double user = 0, system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  double ResidentMegabytes() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/statm");
    double size = 0, resident = 0;
    file >> size >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
  }

 private:
  pid_t pid_ = 0;
  std::string address_;
};

// ---- Senders

v1::ReportRequest MakeFrame(int domains, Rng* rng) {
  Frame frame;
  frame.steps = 1;
  for (int d = 0; d < domains; ++d) {
    std::vector<uint32_t> counts(kLayers * kExperts);
    for (int l = 0; l < kLayers; ++l) {
      for (int t = 0; t < kBlockTokens; ++t) {
        const uint32_t first = rng->Below(kExperts);
        for (int k = 0; k < kTopK; ++k) {  // distinct: steps of 31 come round after 256
          ++counts[l * kExperts + (first + 31 * k) % kExperts];
        }
      }
    }
    ReportBlock block;
    block.domain = "domain-" + std::to_string(d);
    block.tokens = kBlockTokens;
    block.counts = EncodeCounts(counts, kExperts);
    frame.blocks.push_back(std::move(block));
  }
  v1::ReportRequest request;
  *request.mutable_frame() = ToProto(std::move(frame));
  return request;
}

// Sends until `until`; returns the frames acknowledged after `from`.
uint64_t Send(const std::string& address, int sender, int domains, steady_clock::time_point from,
              steady_clock::time_point until) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("sender", sender);  // a connection of its own
  const auto channel =
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  const auto stub = v1::ReportService::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->Report(&context);
  v1::ReportRequest hello;
  const std::string index = std::to_string(sender);
  *hello.mutable_hello() = ToProto(ReporterHello{"bench",
                                                 "agent-" + index,
                                                 {1, static_cast<uint64_t>(sender)},
                                                 0,
                                                 "node-" + std::to_string(sender % kNodes),
                                                 1});
  stream->Write(hello);
  v1::ReportResponse response;
  if (!stream->Read(&response)) {
    std::cerr << "ingest_bench: refused: " << stream->Finish().error_message() << "\n";
    std::exit(1);
  }
  const uint64_t credits = response.hello_ack().credits();
  if (response.hello_ack().want_window()) {
    v1::ReportRequest window;
    window.mutable_window();
    stream->Write(window);
  }
  Rng rng(sender + 1);
  std::vector<v1::ReportRequest> frames;
  for (int i = 0; i < 8; ++i) {
    frames.push_back(MakeFrame(domains, &rng));
  }
  uint64_t sent = 0, acked = 0, counted = 0;
  while (steady_clock::now() < until) {
    while (sent - acked < credits) {
      v1::ReportRequest& request = frames[sent % frames.size()];
      ++sent;
      request.mutable_frame()->set_seq_first(sent);
      request.mutable_frame()->set_seq_last(sent);
      request.mutable_frame()->set_last_step(sent);
      stream->Write(request);
    }
    if (!stream->Read(&response)) {
      std::cerr << "ingest_bench: ended: " << stream->Finish().error_message() << "\n";
      std::exit(1);
    }
    if (response.frame_ack().rejected_blocks() > 0 || response.frame_ack().want_key_frame()) {
      std::cerr << "ingest_bench: a frame was not counted\n";
      std::exit(1);
    }
    if (steady_clock::now() >= from) {
      counted += response.frame_ack().acked_seq() - acked;
    }
    acked = response.frame_ack().acked_seq();
  }
  stream->WritesDone();
  while (stream->Read(&response)) {
  }
  stream->Finish();
  return counted;
}

void WaitUntil(steady_clock::time_point time) {
  std::promise<void> never;
  never.get_future().wait_until(time);
}

void Measure(const char* name, const ServerProcess& server, int senders, int domains,
             double seconds) {
  Rng rng(1);
  const double bytes = static_cast<double>(MakeFrame(domains, &rng).ByteSizeLong());
  const auto from = steady_clock::now() + std::chrono::seconds(1);
  const auto until = from + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6));
  std::atomic<uint64_t> frames{0};
  std::vector<std::thread> threads;
  for (int s = 0; s < senders; ++s) {
    threads.emplace_back([&, s] { frames += Send(server.address(), s, domains, from, until); });
  }
  WaitUntil(from);
  const double before = server.CpuSeconds();
  WaitUntil(until);
  const double cpu = server.CpuSeconds() - before;
  for (std::thread& thread : threads) {
    thread.join();
  }
  const double count = static_cast<double>(frames);
  std::printf(
      "%-9s %6.1f kB  %8.0f frames/s  %7.1f MB/s  %6.1f us server CPU/frame  %6.0f MB RSS\n", name,
      bytes / 1e3, count / seconds, count * bytes / seconds / 1e6, cpu / count * 1e6,
      server.ResidentMegabytes());
  std::fflush(stdout);
}

int Run(int senders, double seconds, const std::string& advisord, const std::string& self) {
  char folder_name[] = "/tmp/ingest-bench-XXXXXX";
  const std::string folder = mkdtemp(folder_name);
  std::ofstream(folder + "/bench.yaml")
      << "deployment: bench\nmodel: {name: m, moe_layers: 58, experts: 256, top_k: 8,"
         " hidden_size: 7168}\ntopology: {nodes: 8, gpus_per_node: 8, slots_per_gpu: 5}\n";
  for (const int domains : {1, 2, 4}) {
    {
      const ServerProcess null({self, "--null-server"});
      Measure("null", null, senders, domains, seconds);
    }
    const ServerProcess daemon({advisord, "--deployment", folder + "/bench.yaml", "--listen",
                                "127.0.0.1:0", "--http", "127.0.0.1:0", "--store",
                                folder + "/store.db"});
    Measure("advisord", daemon, senders, domains, seconds);
  }
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace advisor

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as the daemon does, see its main()
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  int senders = 4;
  double seconds = 4;
  bool null_server = false;
  std::string advisord = std::filesystem::path(self).parent_path() / "advisord";
  CLI::App app("Measures what a report frame costs the daemon, beside a null server.");
  app.add_option("--streams", senders, "Report streams, each a connection")->capture_default_str();
  app.add_option("--seconds", seconds, "Measured time per line, after a second of warm-up")
      ->capture_default_str();
  app.add_option("--advisord", advisord, "The daemon's program")->capture_default_str();
  app.add_flag("--null-server", null_server, "Serve as the null server (for this program itself)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return null_server ? advisor::ServeNull() : advisor::Run(senders, seconds, advisord, self);
}
