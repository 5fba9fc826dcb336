// Assign with what a prompt of 1,000 tokens chose: over loopback at a steady rate, and in the
// library.

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/grouping.grpc.pb.h"
#include "core/base/rng.h"
#include "core/grouping/assigner.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/server_process.h"

namespace advisor::bench {
namespace {

constexpr int kPromptTokens = 1000;

// Expert e of a layer is the less popular the farther it lies from the layer's favourite.
Prompt MakePrompt(uint64_t seed) {
  const ModelSpec model = BenchDeployment().model;
  Rng rng(seed);
  Prompt prompt;
  prompt.tokens = kPromptTokens;
  std::vector<uint32_t> counts(model.experts);
  for (int l = 0; l < model.moe_layers; ++l) {
    std::fill(counts.begin(), counts.end(), 0);
    for (int choice = 0; choice < kPromptTokens * model.top_k; ++choice) {
      const double u = rng.Uniform();
      const auto rank = static_cast<int>(u * u * model.experts);
      ++counts[(37 * l + rank) % model.experts];
    }
    for (int e = 0; e < model.experts; ++e) {
      if (counts[e] > 0) {
        prompt.counts.push_back({static_cast<uint16_t>(l), static_cast<uint16_t>(e), counts[e]});
      }
    }
  }
  return prompt;
}

v1::AssignRequest MakeRequest(const Prompt& prompt) {
  const int experts = BenchDeployment().model.experts;
  v1::AssignRequest request;
  request.set_deployment("bench");
  request.set_prompt_tokens(prompt.tokens);
  for (const PromptCount& c : prompt.counts) {
    const uint32_t cell = c.layer * experts + c.expert;
    const auto count = static_cast<uint16_t>(std::min<uint32_t>(c.count, 65535));
    request.mutable_cells()->append(reinterpret_cast<const char*>(&cell), sizeof(cell));
    request.mutable_counts()->append(reinterpret_cast<const char*>(&count), sizeof(count));
  }
  return request;
}

// Open loop: calls leave at their times, whether or not earlier ones are answered.
std::vector<double> CallAtRate(const std::string& address, double per_second, double seconds) {
  constexpr int kConnections = 4, kPrompts = 32;
  std::vector<std::unique_ptr<v1::GroupingService::Stub>> stubs;
  for (int c = 0; c < kConnections; ++c) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("connection", c);
    stubs.push_back(v1::GroupingService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
  std::vector<v1::AssignRequest> requests;
  for (int p = 0; p < kPrompts; ++p) {
    requests.push_back(MakeRequest(MakePrompt(p + 1)));
  }
  struct Call {
    grpc::ClientContext context;
    v1::AssignResponse response;
    Time sent;
    double latency = 0;
  };
  const auto count = static_cast<size_t>(per_second * seconds);
  std::vector<Call> calls(count);
  std::mutex mutex;
  std::condition_variable change;
  size_t answered = 0;
  const Time begin = Now();
  for (size_t i = 0; i < count; ++i) {
    WaitUntil(begin + std::chrono::nanoseconds(static_cast<int64_t>(1e9 * i / per_second)));
    v1::AssignRequest& request = requests[i % kPrompts];
    request.set_request_id(absl::StrCat("r-", i));  // serialized before Assign() returns
    Call& call = calls[i];
    call.sent = Now();
    stubs[i % kConnections]->async()->Assign(
        &call.context, &request, &call.response, [&](const grpc::Status& status) {
          call.latency = Seconds(call.sent, Now());
          if (!status.ok() || call.response.name().empty()) {
            Die(absl::StrCat("Assign: ", status.error_message()));
          }
          std::lock_guard<std::mutex> lock(mutex);
          if (++answered == count) {
            change.notify_one();
          }
        });
  }
  std::unique_lock<std::mutex> lock(mutex);
  change.wait(lock, [&] { return answered == count; });
  std::vector<double> latencies;
  for (size_t i = count / 5; i < count; ++i) {  // the first fifth warms up
    latencies.push_back(calls[i].latency);
  }
  return latencies;
}

std::vector<double> CallLibrary(const Plan& plan) {
  Assigner assigner(plan.grouping, plan.topology.node_count());
  std::vector<Prompt> prompts;
  for (int p = 0; p < 32; ++p) {
    prompts.push_back(MakePrompt(p + 1));
  }
  std::vector<double> seconds;
  int sum = 0;
  for (int i = 0; i < 4000; ++i) {
    const Time begin = Now();
    sum += assigner.Assign(prompts[i % prompts.size()]).node.value();
    if (i >= 400) {
      seconds.push_back(Seconds(begin, Now()));
    }
  }
  if (sum < 0) {
    Die("no node");
  }
  return seconds;
}

}  // namespace

void BenchAssign(const Programs& programs, Results* results) {
  const DaemonFolder folder(Mode::kActive, "", kOpenDoor);
  folder.StorePlans(true, true);
  const std::vector<double> library = CallLibrary(folder.LastPlan());
  const std::string row = "Assign, prompt of 1,000 tokens, 8 nodes";
  results->Add(row, "library, p50", "us", 1e6 * Quantile(library, 0.5));
  results->Add(row, "library, p99", "us", 1e6 * Quantile(library, 0.99));
  results->Add(row, "request", "kB",
               static_cast<double>(MakeRequest(MakePrompt(1)).ByteSizeLong()) / 1e3);
  const ServerProcess null(NullCommand(programs)), daemon(folder.Command(programs));
  std::vector<double> cpu_us, null_p50, daemon_p50, null_p99, daemon_p99;
  for (int pair = 0; pair < 3; ++pair) {
    const std::vector<double> n = CallAtRate(null.address(), 2000, 3);
    const double cpu = daemon.CpuSeconds();
    const std::vector<double> d = CallAtRate(daemon.address(), 2000, 3);
    cpu_us.push_back((daemon.CpuSeconds() - cpu) / 6000);
    null_p50.push_back(Quantile(n, 0.5));
    null_p99.push_back(Quantile(n, 0.99));
    daemon_p50.push_back(Quantile(d, 0.5));
    daemon_p99.push_back(Quantile(d, 0.99));
  }
  results->Add(row, "2,000 calls/s, p50, null", "us", 1e6 * Quantile(null_p50, 0.5));
  results->Add(row, "2,000 calls/s, p99, null", "us", 1e6 * Quantile(null_p99, 0.5));
  results->Add(row, "2,000 calls/s, p50, daemon", "us", 1e6 * Quantile(daemon_p50, 0.5));
  results->Add(row, "2,000 calls/s, p99, daemon", "us", 1e6 * Quantile(daemon_p99, 0.5));
  results->Add(row, "daemon CPU", "us/call", 1e6 * Quantile(cpu_us, 0.5));
}

}  // namespace advisor::bench
