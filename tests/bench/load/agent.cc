// The agent beside an engine that makes 50 steps a second, and what recording costs the engine
// while the agent runs, stands still and is gone.

#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/intake.grpc.pb.h"
#include "client/engine/engine_client.h"
#include "core/base/rng.h"
#include "proto/convert/counts.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/server_process.h"

namespace advisor::bench {
namespace {

constexpr double kStepsPerSecond = 50;

client::EngineStep MakeStep(int tokens, Rng* rng) {
  const ModelSpec model = BenchDeployment().model;
  client::EngineStep step;
  for (int d = 0; d < 4; ++d) {
    client::TokenBlock block;
    block.domain = absl::StrCat("domain-", d);
    for (int row = 0; row < tokens / 4 * model.moe_layers; ++row) {
      const uint32_t first = rng->Below(model.experts);
      for (int k = 0; k < model.top_k; ++k) {
        block.experts.push_back(static_cast<uint16_t>((first + 31 * k) % model.experts));
      }
    }
    for (int t = 0; t < tokens / 4; ++t) {
      block.requests.push_back({absl::StrCat("r", d * 1000 + t), 1});
    }
    step.blocks.push_back(std::move(block));
  }
  return step;
}

class Engine {
 public:
  Engine(const std::string& socket, int tokens) {
    client::EngineClientOptions options;
    options.socket = socket;
    options.model = BenchDeployment().model;
    client_ = std::make_unique<client::EngineClient>(options, client::PlanCallbacks{});
    Rng rng(1);
    for (int i = 0; i < 16; ++i) {
      steps_.push_back(MakeStep(tokens, &rng));
    }
  }
  // Seconds that each Record() took, at the usual pace.
  std::vector<double> Run(double seconds) {
    std::vector<double> took;
    const Time begin = Now();
    for (int i = 0; i < seconds * kStepsPerSecond; ++i) {
      client::EngineStep step = steps_[number_ % steps_.size()];  // the engine's own work
      step.step = ++number_;
      WaitUntil(begin + std::chrono::microseconds(static_cast<int64_t>(1e6 * i / kStepsPerSecond)));
      const Time before = Now();
      client_->Record(std::move(step));
      took.push_back(Seconds(before, Now()));
    }
    return took;
  }
  client::EngineClientStatus Status() const { return client_->Status(); }

 private:
  std::unique_ptr<client::EngineClient> client_;
  std::vector<client::EngineStep> steps_;
  uint64_t number_ = 0;
};

// An engine that counts for itself and sends a message of counts a step.
class CountingEngine {
 public:
  CountingEngine(const std::string& socket, int tokens)
      : stub_(v1::IntakeService::NewStub(grpc::CreateChannel(absl::StrCat("unix:", socket),
                                                             grpc::InsecureChannelCredentials()))) {
    context_.set_wait_for_ready(true);  // the agent has only just started
    stream_ = stub_->Record(&context_, &response_);
    const ModelSpec model = BenchDeployment().model;
    Rng rng(1);
    for (int i = 0; i < 16; ++i) {
      v1::RecordRequest& message = messages_.emplace_back();
      for (const client::TokenBlock& block : MakeStep(tokens, &rng).blocks) {
        std::vector<uint32_t> counts(size_t(model.moe_layers) * model.experts);
        for (size_t k = 0; k < block.experts.size(); ++k) {
          ++counts[k / model.top_k % model.moe_layers * model.experts + block.experts[k]];
        }
        v1::StepBlock& out = *message.add_blocks();
        out.set_domain(block.domain);
        out.set_phase(v1::PHASE_DECODE);
        out.set_tokens(tokens / 4);
        *out.mutable_counts() = ToProto(EncodeCounts(counts, model.experts));
      }
    }
  }
  void Run(double seconds) {
    const Time begin = Now();
    for (int i = 0; i < seconds * kStepsPerSecond; ++i) {
      WaitUntil(begin + std::chrono::microseconds(static_cast<int64_t>(1e6 * i / kStepsPerSecond)));
      v1::RecordRequest& message = messages_[number_ % messages_.size()];
      message.set_step(++number_);
      if (!stream_->Write(message)) {
        Die(absl::StrCat("the agent took no counts: ", stream_->Finish().error_message()));
      }
    }
  }
  // Steps that the agent has counted.
  uint64_t Finish() {
    stream_->WritesDone();
    return stream_->Finish().ok() ? response_.steps() : 0;
  }

 private:
  std::unique_ptr<v1::IntakeService::Stub> stub_;
  grpc::ClientContext context_;
  v1::RecordResponse response_;
  std::unique_ptr<grpc::ClientWriter<v1::RecordRequest>> stream_;
  std::vector<v1::RecordRequest> messages_;
  uint64_t number_ = 0;
};

std::vector<std::string> AgentCommand(const Programs& programs, const DaemonFolder& folder,
                                      const ServerProcess& daemon) {
  // The bench waits for a line with an address; the agent prints none, so a shell says it.
  const std::string socket = absl::StrCat(folder.path(), "/agent.sock");
  return {
      "/bin/sh", "-c",
      absl::StrCat("echo agent: grpc=unix:", socket, " ; exec ", programs.agent,
                   " --deployment bench --node node-0 --server ", daemon.address(), " --socket ",
                   socket, " --plan-file ", folder.path(), "/plan.json 2>/dev/null")};
}

constexpr double kWarmUp = 5, kMeasured = 20;

void AddAgent(const std::string& row, const ServerProcess& agent, double cpu_before,
              Results* results) {
  results->Add(row, "agent CPU", "% of a core",
               100 * (agent.CpuSeconds() - cpu_before) / kMeasured);
  results->Add(row, "agent memory, peak", "MB", agent.PeakKilobytes() / 1e3);
}

void BenchWholeTokens(const Programs& programs, int tokens, Results* results) {
  const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
  const ServerProcess daemon(folder.Command(programs));
  ServerProcess agent(AgentCommand(programs, folder, daemon));
  Engine engine(absl::StrCat(folder.path(), "/agent.sock"), tokens);
  engine.Run(kWarmUp);
  const double before = agent.CpuSeconds();
  const std::vector<double> live = engine.Run(kMeasured);
  const std::string row = absl::StrCat("agent, 50 steps/s of ", tokens, " tokens in 4 domains");
  if (engine.Status().confirmed == 0) {
    Die("the agent has not counted a step");
  }
  AddAgent(row, agent, before, results);
  agent.Signal(SIGSTOP);
  const std::vector<double> hung = engine.Run(10);
  agent.Kill();
  const std::vector<double> gone = engine.Run(10);
  const double step = 1 / kStepsPerSecond;
  for (const auto& [state, took] :
       {std::pair{"running", &live}, {"stopped", &hung}, {"killed", &gone}}) {
    results->Add(row, absl::StrCat("recording a step, p50, agent ", state), "% of the step",
                 100 * Quantile(*took, 0.5) / step);
    results->Add(row, absl::StrCat("recording a step, p99, agent ", state), "% of the step",
                 100 * Quantile(*took, 0.99) / step);
  }
}

void BenchCounts(const Programs& programs, int tokens, Results* results) {
  const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
  const ServerProcess daemon(folder.Command(programs));
  const ServerProcess agent(AgentCommand(programs, folder, daemon));
  CountingEngine engine(absl::StrCat(folder.path(), "/agent.sock"), tokens);
  engine.Run(kWarmUp);
  const double before = agent.CpuSeconds();
  engine.Run(kMeasured);
  AddAgent(absl::StrCat("agent, 50 steps/s of counts of ", tokens, " tokens in 4 domains"), agent,
           before, results);
  if (engine.Finish() == 0) {
    Die("the agent has not counted a step");
  }
}

}  // namespace

void BenchAgent(const Programs& programs, Results* results) {
  for (const int tokens : {64, 256}) {
    BenchWholeTokens(programs, tokens, results);
    BenchCounts(programs, tokens, results);
  }
}

}  // namespace advisor::bench
