#include "core/engine/engine.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_plan.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor {
namespace {

using testing::FakeDaemon;
using ::testing::SizeIs;

// Two nodes, two domains, tiny windows.
class EngineTest : public ::testing::Test {
 protected:
  EngineTest() : daemon_([this](const effect::StartSolve& solve) { return Solve(solve); }) {
    deployment_.name = "chat";
    deployment_.model = testing::SmallModel(3, 16, 2);
    deployment_.topology = *Topology::Uniform(2, 2, 4);
    deployment_.mode = Mode::kActive;
    options_.window.bucket_tokens = 64;
    options_.window.bucket_steps = 1000;
    options_.policy.min_window_tokens = 200;
    options_.policy.min_solve_interval = absl::ZeroDuration();
    options_.policy.min_commit_interval = absl::ZeroDuration();
  }

  absl::StatusOr<Plan> Solve(const effect::StartSolve& solve) {
    Plan plan = testing::LinearPlan(solve.problem->model, solve.problem->topology, variant_);
    plan.grouping = testing::ByDomain(plan.model, plan.topology, 2);
    return plan;
  }

  void Start() {
    daemon_.Start(deployment_, options_);
    for (int n = 0; n < 2; ++n) {
      OpenReporter(n);
      OpenSubscriber(n);
    }
  }
  void OpenReporter(int n) {
    reporters_[n] = daemon_.NewStream();
    daemon_.Step(event::ReporterOpened{
        reporters_[n],
        {"chat", "agent-" + std::to_string(n), {1, 1}, 0, "node-" + std::to_string(n), seq_[n]}});
  }
  void OpenSubscriber(int n) {
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = "agent-" + std::to_string(n);
    hello.incarnation = {1, 1};
    hello.role = Role::kActor;
    hello.node = "node-" + std::to_string(n);
    subscribers_[n] = daemon_.NewStream();
    daemon_.Step(event::SubscriberOpened{subscribers_[n], hello});
  }
  // `frames` frames of 5 requests from every node.
  void Report(int frames) {
    for (int i = 0; i < frames; ++i) {
      for (int n = 0; n < 2; ++n) {
        const Traffic traffic = testing::RandomTraffic(deployment_.model, 5, 2, &rng_);
        daemon_.Step(event::ReporterFrame{
            reporters_[n],
            testing::FrameOf(deployment_.model, traffic.requests, seq_[n]++, next_key_)});
        next_key_ += 5;
      }
      daemon_.Advance(absl::Milliseconds(100));
    }
  }
  void Ack(int n, Position position, AckPhase phase) {
    PlanAck ack;
    ack.position = position;
    ack.phase = phase;
    daemon_.Step(event::SubscriberAcked{subscribers_[n], ack});
  }

  Deployment deployment_;
  DeploymentOptions options_;
  FakeDaemon daemon_;
  StreamId reporters_[2], subscribers_[2];
  uint64_t seq_[2] = {1, 1};
  uint64_t next_key_ = 1;
  int variant_ = 1;
  Rng rng_{7};
};

TEST_F(EngineTest, FirstPlanIsStagedCommittedAndInForce) {
  Start();
  Report(10);
  ASSERT_EQ(daemon_.Status().counters.plans_published, 1u);
  const Position position = daemon_.Status().position;
  EXPECT_EQ(daemon_.Status().counters.decisions[DecisionReason::kFirstPlan], 1u);
  EXPECT_EQ(daemon_.Status().decisions.front().reason, DecisionReason::kRolloutRunning);
  EXPECT_EQ(daemon_.Status().in_force, Position{});
  for (int n = 0; n < 2; ++n) {
    const auto& mail = daemon_.mail(subscribers_[n]).subscriber;
    ASSERT_THAT(mail, SizeIs(2));
    EXPECT_TRUE(std::holds_alternative<UpToDate>(mail[0]));
    EXPECT_EQ(std::get<PlacementUpdate>(mail[1]).mode, PlacementMode::kPrepare);
    Ack(n, position, AckPhase::kReceived);
    Ack(n, position, AckPhase::kStaged);
  }
  EXPECT_EQ(daemon_.Status().in_force, position);
  EXPECT_TRUE(daemon_.stored().records.back().committed);
  ASSERT_TRUE(daemon_.grouping().has_value());
  EXPECT_EQ(daemon_.grouping()->plan->position, position);
  for (int n = 0; n < 2; ++n) {
    const auto& mail = daemon_.mail(subscribers_[n]).subscriber;
    ASSERT_THAT(mail, SizeIs(4));
    EXPECT_TRUE(std::get<RolloutDecision>(mail[2]).commit);
    EXPECT_EQ(std::get<GroupingUpdate>(mail[3]).needs_placement, position);
    Ack(n, position, AckPhase::kApplied);
  }
  EXPECT_EQ(daemon_.Status().counters.rollouts_committed, 1u);
}

}  // namespace
}  // namespace advisor
