// From the start of the program to the first plan served, and from the return of the agents to full
// windows.

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "proto/convert/limits.h"
#include "proto/convert/plan.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/reporters.h"
#include "tests/bench/load/server_process.h"

namespace advisor::bench {
namespace {

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void AwaitFirstPlan(const std::string& address) {
  const auto stub = v1::PlanService::NewStub(Connect(address));
  grpc::ClientContext context;
  const auto stream = stub->Subscribe(&context);
  SubscriberHello hello;
  hello.deployment = "bench";
  hello.subscriber_id = "first";
  hello.incarnation = {1, 1};
  v1::SubscribeRequest request;
  *request.mutable_hello() = ToProto(hello);
  stream->Write(request);
  v1::SubscribeResponse response;
  while (stream->Read(&response)) {
    if (response.has_placement()) {
      context.TryCancel();
      return;
    }
  }
  Die(absl::StrCat("no plan after the restart: ", stream->Finish().error_message()));
}

// Kills a daemon and starts another; adds how long that one took to serve its first plan.
std::unique_ptr<ServerProcess> RestartUntilServed(const Programs& programs,
                                                  const DaemonFolder& folder,
                                                  std::vector<double>* seconds) {
  ServerProcess(folder.Command(programs)).Kill();
  const Time begin = Now();
  auto daemon = std::make_unique<ServerProcess>(folder.Command(programs));
  AwaitFirstPlan(daemon->address());
  seconds->push_back(Seconds(begin, Now()));
  return daemon;
}

// An agent with a past, back on a daemon that knows nothing of it.
class ReturningAgent {
 public:
  static constexpr int kDomains = 4, kBuckets = 8;
  static constexpr uint64_t kBucketTokens = 8192;  // the daemon's default

  ReturningAgent(const std::string& address, int number)
      : number_(number), stub_(v1::ReportService::NewStub(Connect(address))) {
    v1::Frame* frame = bucket_.mutable_frame();
    *frame = MakeFrame(kDomains, number, kBucketTokens / kDomains).frame();
    window_.mutable_window()->set_through_seq(100);
    for (int b = 0; b < kBuckets; ++b) {
      *window_.mutable_window()->add_buckets() = bucket_.frame();
    }
  }
  void SendHello() {
    stream_ = stub_->Report(&context_);
    stream_->Write(MakeHello(number_, 101));
  }
  void AnswerWithWindow() {
    v1::ReportResponse response;
    if (!stream_->Read(&response) || !response.hello_ack().want_window()) {
      Die("no window was asked for");
    }
    stream_->Write(window_);
  }

 private:
  const int number_;
  const std::unique_ptr<v1::ReportService::Stub> stub_;
  v1::ReportRequest bucket_, window_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::ReportRequest, v1::ReportResponse>> stream_;
};

uint64_t WindowTokens(v1::AdminService::Stub& admin) {
  grpc::ClientContext context;
  v1::GetStatusResponse response;
  if (!admin.GetStatus(&context, {}, &response).ok()) {
    Die("no status");
  }
  return response.deployments(0).window_tokens();
}

}  // namespace

void BenchRestart(const Programs& programs, Results* results) {
  constexpr int kAgents = 8, kTries = 3, kKept = 64;
  std::vector<double> first, full, warm;
  for (int i = 0; i < kTries; ++i) {
    const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
    folder.StorePlans(false, true);
    const auto daemon = RestartUntilServed(programs, folder, &first);
    std::vector<std::unique_ptr<ReturningAgent>> agents;
    for (int a = 0; a < kAgents; ++a) {
      agents.push_back(std::make_unique<ReturningAgent>(daemon->address(), a));
    }
    const auto admin = v1::AdminService::NewStub(Connect(daemon->address()));
    const Time back = Now();
    for (const auto& agent : agents) {
      agent->SendHello();
    }
    for (const auto& agent : agents) {
      agent->AnswerWithWindow();
    }
    const uint64_t tokens = kAgents * ReturningAgent::kBuckets * ReturningAgent::kBucketTokens;
    for (int poll = 0; WindowTokens(*admin) < tokens; ++poll) {
      if (poll == 2000) {
        Die("windows are not full after one round trip");
      }
      Wait(0.005);
    }
    warm.push_back(Seconds(back, Now()));
  }
  for (int i = 0; i < kTries; ++i) {
    const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
    folder.StorePlans(false, true, kKept);
    RestartUntilServed(programs, folder, &full);
  }
  results->Add("restart after SIGKILL", "start of the program to the first plan", "ms",
               1e3 * Quantile(first, 0.5));
  results->Add("restart after SIGKILL", absl::StrCat("the same with ", kKept, " plans stored"),
               "ms", 1e3 * Quantile(full, 0.5));
  results->Add("restart after SIGKILL", "8 agents are back to windows full", "ms",
               1e3 * Quantile(warm, 0.5));
}

}  // namespace advisor::bench
