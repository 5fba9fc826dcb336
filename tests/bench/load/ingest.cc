// What a report frame costs the daemon: as many as go through on a few streams, and a thousand
// reporters at their usual rate.

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/report.grpc.pb.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/reporters.h"
#include "tests/bench/load/server_process.h"

namespace advisor::bench {
namespace {

std::shared_ptr<grpc::Channel> Connect(const std::string& address, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("connection", number);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// Sends as fast as credits allow until `until`; returns the frames acknowledged after `from`.
uint64_t Send(const std::string& address, int sender, int domains, uint64_t incarnation, Time from,
              Time until) {
  const auto stub = v1::ReportService::NewStub(Connect(address, sender));
  grpc::ClientContext context;
  const auto stream = stub->Report(&context);
  stream->Write(MakeHello(sender, 1, incarnation));
  v1::ReportResponse response;
  if (!stream->Read(&response)) {
    Die(absl::StrCat("refused: ", stream->Finish().error_message()));
  }
  const uint64_t credits = response.hello_ack().credits();
  if (response.hello_ack().want_window()) {
    v1::ReportRequest window;
    window.mutable_window();
    stream->Write(window);
  }
  std::vector<v1::ReportRequest> frames;
  for (int i = 0; i < 8; ++i) {
    frames.push_back(MakeFrame(domains, sender * 8 + i));
  }
  uint64_t sent = 0, acked = 0, counted = 0;
  while (Now() < until) {
    while (sent - acked < credits) {
      v1::ReportRequest& request = frames[sent % frames.size()];
      SetSequence(++sent, &request);
      stream->Write(request);
    }
    if (!stream->Read(&response)) {
      Die(absl::StrCat("ended: ", stream->Finish().error_message()));
    }
    if (response.frame_ack().rejected_blocks() > 0 || response.frame_ack().want_key_frame()) {
      Die("a frame was not counted");
    }
    if (Now() >= from) {
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

struct Rate {
  double frames_per_second = 0, cpu_us = 0;
};

Rate MeasureRate(const ServerProcess& server, int domains, uint64_t incarnation) {
  constexpr int kSenders = 4, kSeconds = 3;
  const Time from = Now() + std::chrono::seconds(1), until = from + std::chrono::seconds(kSeconds);
  std::atomic<uint64_t> frames{0};
  std::vector<std::thread> threads;
  for (int s = 0; s < kSenders; ++s) {
    threads.emplace_back(
        [&, s] { frames += Send(server.address(), s, domains, incarnation, from, until); });
  }
  WaitUntil(from);
  const double before = server.CpuSeconds();
  WaitUntil(until);
  const double cpu = server.CpuSeconds() - before;
  for (std::thread& thread : threads) {
    thread.join();
  }
  const auto count = static_cast<double>(frames);
  return {count / kSeconds, cpu / count * 1e6};
}

// One reporter of the fleet: a frame a second, and the time until its acknowledgement.
class FleetReporter final : public grpc::ClientBidiReactor<v1::ReportRequest, v1::ReportResponse> {
 public:
  FleetReporter(const std::string& address, int number)
      : stub_(v1::ReportService::NewStub(Connect(address, number))), frame_(MakeFrame(2, number)) {
    request_ = MakeHello(number);
    stub_->async()->Report(&context_, this);
    writing_ = true;
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }
  // Waits until the daemon has said hello; then may Send().
  void AwaitHello() { hello_.get_future().wait(); }
  // A frame is due. It waits while the one before is on its way out.
  void Send() {
    std::lock_guard<std::mutex> lock(mutex_);
    due_.push_back(Now());
    WriteNext();
  }
  void Close() {
    StartWritesDone();
    done_.get_future().wait();
  }
  std::vector<double> latencies() {
    std::lock_guard<std::mutex> lock(mutex_);
    return latencies_;
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (response_.has_hello_ack()) {
      hello_.set_value();
    } else {
      if (response_.frame_ack().want_key_frame() || response_.frame_ack().rejected_blocks() > 0) {
        Die("a frame was not counted");
      }
      std::lock_guard<std::mutex> lock(mutex_);
      for (; acked_ < response_.frame_ack().acked_seq(); ++acked_) {
        latencies_.push_back(Seconds(due_.front(), Now()));
        due_.pop_front();
      }
    }
    StartRead(&response_);
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    if (ok) {
      WriteNext();
    }
  }
  void OnDone(const grpc::Status& status) override {
    if (!status.ok()) {
      Die(absl::StrCat("ended: ", status.error_message()));
    }
    done_.set_value();
  }

 private:
  void WriteNext() {
    if (writing_ || seq_ == acked_ + due_.size()) {
      return;
    }
    writing_ = true;
    SetSequence(++seq_, &frame_);
    StartWrite(&frame_);
  }

  const std::unique_ptr<v1::ReportService::Stub> stub_;
  grpc::ClientContext context_;
  v1::ReportRequest request_;
  v1::ReportResponse response_;
  std::promise<void> hello_, done_;
  std::mutex mutex_;
  v1::ReportRequest frame_;       // guarded by mutex_, like all below
  bool writing_ = false;          // the frame
  uint64_t seq_ = 0, acked_ = 0;  // of the last frame written, and acknowledged
  std::deque<Time> due_;          // when each frame behind `acked_` was due
  std::vector<double> latencies_;
};

}  // namespace

void BenchIngest(const Programs& programs, Results* results) {
  for (const int domains : {1, 2, 4}) {
    const DaemonFolder folder(Mode::kAdvisory, "min_report_interval_s: 0", kOpenDoor);
    const double kilobytes = static_cast<double>(MakeFrame(domains, 1).ByteSizeLong()) / 1e3;
    const std::string row = absl::StrCat("ingest of ", static_cast<int>(kilobytes), " kB frames");
    const ServerProcess null(NullCommand(programs)), daemon(folder.Command(programs));
    std::vector<double> of_null, of_daemon, ratios, null_cpu, daemon_cpu;
    for (uint64_t pair = 1; pair <= 3; ++pair) {  // in turn, so that both have the same noise
      const Rate n = MeasureRate(null, domains, pair), d = MeasureRate(daemon, domains, pair);
      of_null.push_back(n.frames_per_second);
      of_daemon.push_back(d.frames_per_second);
      ratios.push_back(d.frames_per_second / n.frames_per_second);
      null_cpu.push_back(n.cpu_us);
      daemon_cpu.push_back(d.cpu_us);
    }
    results->Add(row, "null", "frames/s", Quantile(of_null, 0.5));
    results->Add(row, "daemon", "frames/s", Quantile(of_daemon, 0.5));
    results->Add(row, "daemon / null", "ratio", Quantile(ratios, 0.5));
    results->Add(row, "server CPU, null", "us/frame", Quantile(null_cpu, 0.5));
    results->Add(row, "server CPU, daemon", "us/frame", Quantile(daemon_cpu, 0.5));
  }
}

void BenchFleet(const Programs& programs, Results* results) {
  constexpr int kReporters = 1000, kSeconds = 20, kWarmUp = 10;
  const DaemonFolder folder(Mode::kAdvisory, "ack_every_frames: 1", kOpenDoor);
  const ServerProcess daemon(folder.Command(programs));
  std::vector<std::unique_ptr<FleetReporter>> fleet;
  for (int i = 0; i < kReporters; ++i) {
    fleet.push_back(std::make_unique<FleetReporter>(daemon.address(), i));
  }
  for (const auto& reporter : fleet) {
    reporter->AwaitHello();
  }
  const Time begin = Now();
  double cpu_before = 0;
  std::vector<size_t> skipped(kReporters);
  for (int i = 0; i < (kWarmUp + kSeconds) * kReporters; ++i) {
    WaitUntil(begin + std::chrono::microseconds(int64_t{1'000'000} * i / kReporters));
    if (i == kWarmUp * kReporters) {  // the windows' memory has been touched
      cpu_before = daemon.CpuSeconds();
      for (int r = 0; r < kReporters; ++r) {
        skipped[r] = fleet[r]->latencies().size();
      }
    }
    fleet[i % kReporters]->Send();
  }
  const double cpu = daemon.CpuSeconds() - cpu_before;
  Wait(1);
  std::vector<double> latencies;
  for (int r = 0; r < kReporters; ++r) {
    const std::vector<double> all = fleet[r]->latencies();
    latencies.insert(latencies.end(), all.begin() + skipped[r], all.end());
    fleet[r]->Close();
  }
  const std::string row = "1,000 reporters, a 30 kB frame a second each";
  results->Add(row, "acknowledgement, p50", "ms", 1e3 * Quantile(latencies, 0.5));
  results->Add(row, "acknowledgement, p99", "ms", 1e3 * Quantile(latencies, 0.99));
  results->Add(row, "acknowledged at once", "share",
               static_cast<double>(latencies.size()) / (kSeconds * kReporters));
  results->Add(row, "daemon CPU", "cores", cpu / kSeconds);
  results->Add(row, "daemon memory", "MB", daemon.ResidentKilobytes() / 1e3);
}

}  // namespace advisor::bench
