#include "client/agent/agent.h"

#include <grpcpp/server_builder.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "absl/time/clock.h"
#include "advisor/v1/intake.grpc.pb.h"
#include "client/engine/engine_client.h"
#include "core/io/plan_file.h"
#include "proto/convert/plan.h"
#include "proto/convert/report.h"
#include "tests/client/agent/fake_daemon.h"
#include "tests/support/files.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::RandomPlacement;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::advisor::testing::TemporaryFolder;
using testing::Box;
using testing::FakeDaemon;
using ::testing::HasSubstr;
using testing::IgnorePlans;
using testing::IgnoreReports;
using testing::PlanServerStream;
using testing::ReportServerStream;

const ModelSpec kModel = SmallModel(2, 8, 2);

absl::Time Soon() { return absl::Now() + absl::Seconds(20); }  // only a hang takes so long

AgentOptions Options(const TemporaryFolder& folder) {
  AgentOptions options;
  options.deployment = "chat";
  options.node = "node-0";
  options.socket = folder.Path("agent.sock");
  options.plan_file = folder.Path("plan.json");
  options.wait_for_engines = true;
  options.streams.reconnect_min = options.streams.reconnect_max = absl::Milliseconds(1);
  return options;
}

EngineStep Step(uint64_t number, Position applied = {}) {
  EngineStep step;
  step.step = number;
  step.applied = applied;
  TokenBlock block;
  block.domain = "law";
  block.experts = {0, 1, 6, 7};
  block.requests = {{"r", 1}};
  step.blocks.push_back(std::move(block));
  return step;
}

// Applies every frame, and adds up what it counts.
struct CountingDaemon {
  grpc::Status operator()(int, ReportServerStream* stream) {
    v1::ReportRequest request;
    stream->Read(&request);
    HelloAck welcome;
    welcome.model = kModel;
    welcome.topology = *Topology::Uniform(2, 1, 4);
    welcome.credits = 4;
    welcome.min_interval_ms = 1;
    welcome.max_interval_ms = 1000;
    welcome.want_window = true;
    v1::ReportResponse response;
    *response.mutable_hello_ack() = ToProto(welcome);
    stream->Write(response);
    while (stream->Read(&request)) {
      if (!request.has_frame()) {
        continue;
      }
      steps += request.frame().steps();
      lost = request.frame().lost_steps();
      FrameAck ack;
      ack.acked_seq = request.frame().seq_last();
      ack.credits = 4;
      *response.mutable_frame_ack() = ToProto(ack);
      stream->Write(response);
    }
    return grpc::Status::OK;
  }
  std::atomic<uint64_t> steps = 0, lost = 0;
};

TEST(AgentTest, StepsReachTheDaemonAndAStopHandsOverTheLast) {
  TemporaryFolder folder;
  CountingDaemon counting;
  FakeDaemon daemon(std::ref(counting), IgnorePlans);
  Box<bool> informed;
  PlanCallbacks callbacks;
  callbacks.on_info = [&](const EngineInfo& info) {
    if (info.has_model) {
      EXPECT_EQ(info.deployment, "chat");
      EXPECT_EQ(info.node_index, 0);
      EXPECT_EQ(info.model, kModel);
      informed.Put(true);
    }
  };
  {
    ASSERT_OK_AND_ASSIGN(auto agent, Agent::Start(Options(folder), daemon.Channel()));
    EngineClientOptions engine;
    engine.socket = Options(folder).socket;
    engine.model = kModel;
    EngineClient client(engine, callbacks);
    ASSERT_TRUE(informed.Take());
    for (uint64_t n = 1; n <= 1000; ++n) {
      client.Record(Step(n));
    }
    EXPECT_TRUE(client.Flush(Soon()));
    EXPECT_EQ(client.Status().confirmed, 1000u);
    EXPECT_EQ(agent->Status().steps, 1000u);
  }
  EXPECT_EQ(counting.steps, 1000u);
  EXPECT_EQ(counting.lost, 0u);
}

TEST(AgentTest, AnEngineOutlivesItsAgentAndOnlyCountedStepsAreLost) {
  TemporaryFolder folder;
  CountingDaemon counting;
  FakeDaemon daemon(std::ref(counting), IgnorePlans);
  EngineClientOptions engine;
  engine.socket = Options(folder).socket;
  engine.model = kModel;
  engine.reconnect_min = engine.reconnect_max = absl::Milliseconds(20);
  Box<bool> informed;
  PlanCallbacks callbacks;
  callbacks.on_info = [&](const EngineInfo& info) {
    if (info.has_model) {
      informed.Put(true);
    }
  };
  EngineClient client(engine, callbacks);
  uint64_t number = 0;
  for (int life = 0; life < 3; ++life) {
    for (int i = 0; i < 50; ++i) {
      client.Record(Step(++number));  // while there is no agent
    }
    AgentOptions options = Options(folder);
    options.plan_file.clear();
    // The model is known at once in later lives only through the daemon: wait for it before the
    // steps may flow.
    ASSERT_OK_AND_ASSIGN(auto agent, Agent::Start(options, daemon.Channel()));
    ASSERT_TRUE(informed.Take());
    for (int i = 0; i < 200; ++i) {
      client.Record(Step(++number));
    }
    EXPECT_TRUE(client.Flush(Soon()));
  }
  const EngineClientStatus status = client.Status();
  EXPECT_EQ(status.steps, number);
  EXPECT_EQ(status.confirmed + status.lost, number);
}

// An agent that dies whenever it has read a message.
class DyingAgent final : public v1::IntakeService::Service {
 public:
  explicit DyingAgent(const std::string& socket) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket, grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~DyingAgent() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status Record(grpc::ServerContext*, grpc::ServerReader<v1::RecordRequest>* reader,
                      v1::RecordResponse*) override {
    v1::RecordRequest request;
    reader->Read(&request);
    return {grpc::StatusCode::UNAVAILABLE, "dead"};
  }

 private:
  std::unique_ptr<grpc::Server> server_;
};

TEST(AgentTest, WhatAnEngineLostIsStatedOnceOverManyAgents) {
  TemporaryFolder folder;
  Plan plan;  // the agents know the model from the start
  Rng rng(1);
  plan.deployment = "chat";
  plan.model = kModel;
  plan.topology = *Topology::Uniform(2, 1, 4);
  plan.placement = RandomPlacement(kModel, plan.topology, &rng);
  const AgentOptions options = Options(folder);
  ASSERT_THAT(WritePlan(options.plan_file, plan), IsOk());
  CountingDaemon counting;
  FakeDaemon daemon(std::ref(counting), IgnorePlans);
  EngineClientOptions engine;
  engine.socket = options.socket;
  engine.model = kModel;
  engine.join = absl::ZeroDuration();
  engine.reconnect_min = engine.reconnect_max = absl::Milliseconds(20);
  EngineClient client(engine, {});
  uint64_t number = 0, stated = 0;
  for (int life = 0; life < 3; ++life) {
    const uint64_t lost_before = client.Status().lost;
    {
      DyingAgent dying(engine.socket);
      client.Record(Step(++number));
      while (client.Status().lost == lost_before) {
        std::this_thread::yield();
      }
    }
    ASSERT_OK_AND_ASSIGN(auto agent, Agent::Start(options, daemon.Channel()));
    if (life > 0) {  // at first there is nothing to say but the loss
      client.Record(Step(++number));
    }
    ASSERT_TRUE(client.Flush(Soon()));
    for (const absl::Time end = Soon(); counting.lost == 0 && absl::Now() < end;) {
      std::this_thread::yield();  // until the agent has found the daemon
    }
    agent.reset();  // hands over what it knows
    stated += counting.lost.exchange(0);
    EXPECT_EQ(stated, client.Status().lost);
  }
  EXPECT_EQ(client.Status().confirmed + stated, number);
  EXPECT_EQ(counting.steps, client.Status().confirmed);
}

TEST(AgentTest, ARolloutReachesTheEngineAndTheFile) {
  TemporaryFolder folder;
  Box<int> phases;
  auto plan = std::make_shared<Plan>();
  Rng rng(1);
  plan->model = kModel;
  plan->topology = *Topology::Uniform(2, 1, 4);
  plan->position = {1, 1};
  plan->placement = RandomPlacement(kModel, plan->topology, &rng);
  CountingDaemon counting;
  FakeDaemon daemon(std::ref(counting), [&](int, PlanServerStream* stream) {
    v1::SubscribeRequest request;
    stream->Read(&request);
    v1::SubscribeResponse response;
    *response.mutable_placement() =
        ToProto(PlacementUpdate{plan, nullptr, PlacementMode::kPrepare});
    stream->Write(response);
    while (stream->Read(&request)) {
      phases.Put(request.ack().phase());
      if (request.ack().phase() == v1::Ack::STAGED) {
        *response.mutable_decision() = ToProto(RolloutDecision{{1, 1}, true, ""});
        stream->Write(response);
      }
    }
    return grpc::Status::OK;
  });
  ASSERT_OK_AND_ASSIGN(auto agent, Agent::Start(Options(folder), daemon.Channel()));
  EngineClient* engine = nullptr;
  std::mutex mutex;
  PlanCallbacks callbacks;
  auto confirm = [&](Position position, AckPhase phase, uint64_t step) {
    std::lock_guard lock(mutex);
    engine->Confirm(position, phase, step);
  };
  callbacks.on_placement = [&](const std::shared_ptr<const Plan>& got, PlacementMode mode) {
    EXPECT_EQ(got->placement, plan->placement);
    EXPECT_EQ(mode, PlacementMode::kPrepare);
    confirm(got->position, AckPhase::kStaged, 0);
  };
  callbacks.on_decision = [&](const RolloutDecision& decision) {
    EXPECT_TRUE(decision.commit);
    confirm(decision.position, AckPhase::kApplied, 17);
  };
  EngineClientOptions options;
  options.socket = Options(folder).socket;
  options.model = kModel;
  std::unique_ptr<EngineClient> client;
  {
    std::lock_guard lock(mutex);
    client = std::make_unique<EngineClient>(options, callbacks);
    engine = client.get();
  }
  EXPECT_EQ(phases.Take(), v1::Ack::RECEIVED);
  EXPECT_EQ(phases.Take(), v1::Ack::STAGED);
  EXPECT_EQ(phases.Take(), v1::Ack::APPLIED);
  ASSERT_OK_AND_ASSIGN(const Plan stored, ReadPlan(Options(folder).plan_file));
  EXPECT_EQ(stored.position, (Position{1, 1}));
  EXPECT_EQ(stored.deployment, "chat");
  EXPECT_EQ(stored.placement, plan->placement);

  // A new agent and engine go on with the stored plan although no daemon is there.
  client.reset();
  agent.reset();
  FakeDaemon nobody(
      [](int, ReportServerStream*) { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "away"); },
      [](int, PlanServerStream*) { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "away"); });
  ASSERT_OK_AND_ASSIGN(auto second, Agent::Start(Options(folder), nobody.Channel()));
  Box<uint64_t> in_force;
  callbacks.on_placement = [&](const std::shared_ptr<const Plan>& got, PlacementMode mode) {
    EXPECT_EQ(mode, PlacementMode::kInForce);
    in_force.Put(got->position.revision);
  };
  EngineClient late(options, callbacks);
  EXPECT_EQ(in_force.Take(), 1u);
}

TEST(AgentTest, SaysWhatIsWrongWithItsOptions) {
  TemporaryFolder folder;
  FakeDaemon daemon(IgnoreReports, IgnorePlans);
  AgentOptions bad = Options(folder);
  bad.node = "Node 0";
  EXPECT_THAT(Agent::Start(bad, daemon.Channel()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--node")));
  bad = Options(folder);
  bad.socket = folder.Path("missing/agent.sock");
  EXPECT_THAT(Agent::Start(bad, daemon.Channel()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("missing/agent.sock")));
  ASSERT_OK_AND_ASSIGN(auto agent, Agent::Start(Options(folder), daemon.Channel()));
  EXPECT_THAT(Agent::Start(Options(folder), daemon.Channel()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another agent answers there")));
  Plan other;
  Rng rng(1);
  other.deployment = "other";
  other.model = kModel;
  other.topology = *Topology::Uniform(2, 1, 4);
  other.placement = RandomPlacement(kModel, other.topology, &rng);
  AgentOptions wrong = Options(folder);
  wrong.socket = folder.Path("second.sock");
  wrong.plan_file = folder.Path("other.json");
  ASSERT_THAT(WritePlan(wrong.plan_file, other), IsOk());
  EXPECT_THAT(Agent::Start(wrong, daemon.Channel()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("deployment \"other\"")));
}

}  // namespace
}  // namespace advisor::client
