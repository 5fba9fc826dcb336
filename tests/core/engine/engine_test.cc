#include "core/engine/engine.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_plan.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::AllOf;
using testing::FakeDaemon;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using testing::StatusIs;

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
  // Both actors take the latest placement.
  void Adopt() {
    const Position position = daemon_.Status().position;
    for (const AckPhase phase : {AckPhase::kReceived, AckPhase::kStaged, AckPhase::kApplied}) {
      Ack(0, position, phase);
      Ack(1, position, phase);
    }
  }
  const absl::Status& EndOf(StreamId stream) {
    static const absl::Status kOpen;
    const auto& ended = daemon_.mail(stream).ended;
    return ended.has_value() ? *ended : kOpen;
  }
  template <typename M>
  std::vector<M> MailTo(StreamId stream) {
    std::vector<M> messages;
    for (const SubscriberMessage& message : daemon_.mail(stream).subscriber) {
      if (const M* m = std::get_if<M>(&message)) {
        messages.push_back(*m);
      }
    }
    return messages;
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

TEST_F(EngineTest, OlderPlansOfTheStoreFollowTheNewest) {
  std::vector<PlanRecord> records;
  for (int revision = 1; revision <= 3; ++revision) {
    Plan plan = testing::LinearPlan(deployment_.model, deployment_.topology, revision);
    plan.position = {1, static_cast<uint64_t>(revision)};
    PlanRecord record;
    record.content_hash = PlacementHash(plan);
    record.plan = std::make_shared<const Plan>(std::move(plan));
    record.committed = true;
    records.push_back(record);
  }
  daemon_.judge_history = false;  // it has not seen these plans published
  daemon_.stored().records = {records[2]};
  daemon_.stored().state = DeploymentState{Mode::kActive, false, {records[0].content_hash}};
  Start();
  EXPECT_THAT(daemon_.Status().plans, SizeIs(1));
  daemon_.Step(event::OlderPlans{"chat", {records[0], records[1]}});
  const std::vector<PlanRecord> plans = daemon_.Status().plans;
  ASSERT_THAT(plans, SizeIs(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(plans[i].plan->position.revision, 3u - i);
  }
  EXPECT_TRUE(plans[2].quarantined);
  EXPECT_FALSE(plans[1].quarantined);
  EXPECT_EQ(daemon_.Status().in_force, (Position{1, 3}));
  daemon_.Step(event::Rollback{CommandId(1), "chat", {}});
  EXPECT_EQ(daemon_.stored().records.back().content_hash, records[1].content_hash);
}

TEST_F(EngineTest, TheWindowIsHandedOutAsTraffic) {
  Start();
  const auto ask = [&](const std::string& deployment) {
    daemon_.Step(event::GetWindow{CommandId(1), deployment});
    return daemon_.commands().back();
  };
  EXPECT_THAT(ask("other").status, StatusIs(absl::StatusCode::kNotFound, HasSubstr("other")));
  EXPECT_THAT(ask(deployment_.name).status,
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no traffic")));
  Report(4);
  const effect::CommandDone done = ask(deployment_.name);
  ASSERT_TRUE(done.status.ok()) << done.status;
  double stands_for = 0;
  for (const Request& request : done.window->requests) {
    EXPECT_TRUE(Validate(deployment_.model, request).ok());
    stands_for += request.weight * request.tokens;
  }
  EXPECT_NEAR(stands_for, static_cast<double>(daemon_.Status().window_tokens), 1e-6);
}

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

TEST_F(EngineTest, FeaturesAreAgreedWhenAReporterOpens) {
  const auto open = [&](Features features, Features required) {
    const StreamId stream = daemon_.NewStream();
    daemon_.Step(event::ReporterOpened{
        stream, {"chat", "agent-9", {1, 1}, 0, "node-0", 1, features, required}});
    return stream;
  };
  const auto agreed = [&](StreamId stream) {
    return std::get<HelloAck>(daemon_.mail(stream).reporter.at(0));
  };
  options_.window.frame_sample_tokens = 32;
  daemon_.Start(deployment_, options_);
  const HelloAck both = agreed(open({true, true}, {true, false}));
  EXPECT_EQ(both.features, (Features{true, false}));
  EXPECT_EQ(both.sample_tokens, 32u);
  EXPECT_EQ(agreed(open({}, {})).sample_tokens, 0u);

  options_.window.frame_sample_tokens = 0;
  daemon_.Start(deployment_, options_);
  EXPECT_EQ(agreed(open({true, true}, {})).features, Features{});
  EXPECT_THAT(EndOf(open({true, true}, {true, false})),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("FEATURE_MISSING")));
}

TEST_F(EngineTest, ASubscriberMayRequireOnlyWhatSubscribersAreOffered) {
  daemon_.Start(deployment_, options_);
  const auto open = [&](Features required) {
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = "agent-9";
    hello.features = hello.required = required;
    const StreamId stream = daemon_.NewStream();
    daemon_.Step(event::SubscriberOpened{stream, hello});
    return stream;
  };
  EXPECT_FALSE(daemon_.mail(open({.samples = false, .delta_placement = true})).ended.has_value());
  EXPECT_THAT(EndOf(open({.samples = true, .delta_placement = true})),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("FEATURE_MISSING"), HasSubstr("delta-placement"))));
}

TEST_F(EngineTest, StreamsAreRefusedWithTheReason) {
  Start();
  const StreamId stream = daemon_.NewStream();
  daemon_.Step(event::ReporterOpened{stream, {"other", "a", {1, 1}, 0, "node-0", 1}});
  EXPECT_THAT(EndOf(stream), StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"other\"")));
  const StreamId node = daemon_.NewStream();
  daemon_.Step(event::ReporterOpened{node, {"chat", "a", {1, 1}, 0, "node-7", 1}});
  EXPECT_THAT(EndOf(node),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("\"node-7\"")));
  const StreamId model = daemon_.NewStream();
  daemon_.Step(event::ReporterOpened{model, {"chat", "a", {1, 1}, 77, "node-0", 1}});
  EXPECT_THAT(EndOf(model),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("MODEL_MISMATCH")));
  const StreamId subscriber = daemon_.NewStream();
  SubscriberHello hello;
  hello.deployment = "chat";
  hello.subscriber_id = "s";
  hello.model_fingerprint = 77;
  daemon_.Step(event::SubscriberOpened{subscriber, hello});
  EXPECT_THAT(EndOf(subscriber),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("MODEL_MISMATCH")));
}

TEST_F(EngineTest, AnActorMustBeOnANodeOfTheTopology) {
  Start();
  const auto open = [&](Role role, const std::string& node) {
    const StreamId stream = daemon_.NewStream();
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = "other";
    hello.role = role;
    hello.node = node;
    daemon_.Step(event::SubscriberOpened{stream, hello});
    return EndOf(stream);
  };
  EXPECT_THAT(open(Role::kActor, "node-7"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("\"node-7\"")));
  EXPECT_TRUE(open(Role::kActor, "node-1").ok());
  EXPECT_TRUE(open(Role::kActor, "").ok());           // speaks for the whole group
  EXPECT_TRUE(open(Role::kObserver, "node-7").ok());  // of an observer it means nothing
}

TEST_F(EngineTest, ASecondStreamOfTheSameProcessSupersedesTheFirst) {
  Start();
  const StreamId reports = reporters_[0], plans = subscribers_[0];
  OpenReporter(0);
  OpenSubscriber(0);
  EXPECT_THAT(EndOf(reports), StatusIs(absl::StatusCode::kAborted, HasSubstr("SUPERSEDED")));
  EXPECT_THAT(EndOf(plans), StatusIs(absl::StatusCode::kAborted, HasSubstr("SUPERSEDED")));
  Report(2);
  EXPECT_EQ(daemon_.Status().counters.frames_applied, 4u);
}

TEST_F(EngineTest, AResultForAnotherTopologyIsDroppedAndCounted) {
  Start();
  daemon_.hold_solve = true;
  Report(10);
  EXPECT_TRUE(daemon_.Status().solving);
  deployment_.topology = *Topology::Uniform(2, 2, 5);
  daemon_.Step(event::UpdateDeployment{deployment_, options_});
  EXPECT_FALSE(daemon_.Status().solving);
  EXPECT_EQ(daemon_.cancelled(), 1);
  daemon_.ReleaseHeld();
  EXPECT_EQ(daemon_.Status().counters.solves_stale, 1u);
  EXPECT_EQ(daemon_.Status().counters.plans_published, 0u);
}

TEST_F(EngineTest, AnotherModelIsIgnored) {
  Start();
  deployment_.model = testing::SmallModel(4, 16, 2);
  daemon_.Step(event::UpdateDeployment{deployment_, options_});
  EXPECT_EQ(daemon_.Status().deployment.model.moe_layers, 3);
  EXPECT_THAT(daemon_.logs().back().text, HasSubstr("another model"));
}

TEST_F(EngineTest, ASolverThatHangsIsGivenUp) {
  Start();
  daemon_.hold_solve = true;
  Report(10);
  for (int i = 0; i < 20; ++i) {
    daemon_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(daemon_.cancelled(), 1);
  EXPECT_EQ(daemon_.Status().counters.decisions[DecisionReason::kSolverFailed], 1u);
}

TEST_F(EngineTest, WhatTheSolverSeesAndWhatJudgesItAreDifferentRequests) {
  Start();
  Report(10);
  ASSERT_TRUE(daemon_.last_solve().has_value());
  const effect::StartSolve& solve = *daemon_.last_solve();
  EXPECT_FALSE(solve.problem->in_force.has_value());
  EXPECT_EQ(solve.params.max_moved_fraction, 1.0);
  ASSERT_FALSE(solve.holdout->requests.empty());
  for (const Request& held_out : solve.holdout->requests) {
    for (const Request& seen : solve.problem->traffic.requests) {
      EXPECT_NE(held_out.id, seen.id);
    }
  }
}

TEST_F(EngineTest, ACommitThatCannotBeStoredIsTriedAgain) {
  Start();
  Report(10);
  const Position position = daemon_.Status().position;
  daemon_.fail_store = true;
  for (const AckPhase phase : {AckPhase::kReceived, AckPhase::kStaged}) {
    Ack(0, position, phase);
    Ack(1, position, phase);
  }
  EXPECT_EQ(daemon_.Status().in_force, Position{});
  EXPECT_THAT(MailTo<RolloutDecision>(subscribers_[0]), SizeIs(0));
  daemon_.fail_store = false;
  daemon_.Advance(absl::Seconds(6));
  EXPECT_EQ(daemon_.Status().in_force, position);
  EXPECT_THAT(MailTo<RolloutDecision>(subscribers_[0]), SizeIs(1));
}

TEST_F(EngineTest, CommitIsSentAgainUntilItIsApplied) {
  Start();
  Report(10);
  const Position position = daemon_.Status().position;
  for (const AckPhase phase : {AckPhase::kReceived, AckPhase::kStaged}) {
    Ack(0, position, phase);
    Ack(1, position, phase);
  }
  Ack(0, position, AckPhase::kApplied);
  daemon_.Advance(absl::Seconds(11));
  EXPECT_THAT(MailTo<RolloutDecision>(subscribers_[0]), SizeIs(1));
  EXPECT_THAT(MailTo<RolloutDecision>(subscribers_[1]), SizeIs(3));
  Ack(1, position, AckPhase::kApplied);
  daemon_.Advance(absl::Seconds(11));
  EXPECT_THAT(MailTo<RolloutDecision>(subscribers_[1]), SizeIs(3));
}

TEST_F(EngineTest, ProgressComesBeforeTenSecondsArePast) {
  Start();
  daemon_.Advance(absl::Seconds(30));
  const auto progress = MailTo<Progress>(subscribers_[0]);
  EXPECT_GE(progress.size(), 3u);
  EXPECT_LE(progress.size(), 4u);
}

TEST_F(EngineTest, WhoDoesNotAcknowledgeIsEnded) {
  Start();
  Report(10);
  Ack(0, daemon_.Status().position, AckPhase::kReceived);
  daemon_.Advance(absl::Seconds(11));
  EXPECT_TRUE(EndOf(subscribers_[0]).ok());
  EXPECT_THAT(EndOf(subscribers_[1]),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("SLOW_CONSUMER")));
  EXPECT_EQ(daemon_.Status().counters.slow_subscribers, 1u);
}

// What this side could not hear, because it did not run, nobody has failed to say.
TEST_F(EngineTest, WhileTheDaemonStandsStillNobodyIsTooSlow) {
  Start();
  Report(10);
  const Position position = daemon_.Status().position;
  daemon_.Advance(absl::Seconds(30), absl::Seconds(30));  // one tick, late
  Ack(0, position, AckPhase::kReceived);
  daemon_.Advance(absl::Seconds(9));
  EXPECT_TRUE(EndOf(subscribers_[0]).ok());
  EXPECT_TRUE(EndOf(subscribers_[1]).ok());
  daemon_.Advance(absl::Seconds(2));
  EXPECT_TRUE(EndOf(subscribers_[0]).ok());
  EXPECT_THAT(
      EndOf(subscribers_[1]),
      StatusIs(absl::StatusCode::kResourceExhausted,
               AllOf(HasSubstr("SLOW_CONSUMER"), HasSubstr("sent 40."), HasSubstr("within 10 s"))));
}

TEST_F(EngineTest, AStoreThatIsBehindIsNoticedAndPassed) {
  Start();
  Report(10);
  Adopt();
  const Position before = daemon_.Status().in_force;
  daemon_.Step(event::SubscriberClosed{subscribers_[0]});
  subscribers_[0] = daemon_.NewStream();
  SubscriberHello hello;
  hello.deployment = "chat";
  hello.subscriber_id = "agent-0";
  hello.incarnation = {1, 1};
  hello.role = Role::kActor;
  hello.node = "node-0";
  hello.placement = {7, 3};
  daemon_.Step(event::SubscriberOpened{subscribers_[0], hello});
  daemon_.Advance(absl::Seconds(1));
  const Position after = daemon_.Status().position;
  EXPECT_GT(after, (Position{7, 3}));
  EXPECT_EQ(after.revision, before.revision + 1);
  EXPECT_EQ(daemon_.stored().records.back().content_hash, daemon_.stored().records[0].content_hash);
  EXPECT_EQ(MailTo<PlacementUpdate>(subscribers_[0]).back().plan->position, after);
  EXPECT_EQ(daemon_.engine().Status().epoch, 8u);
}

TEST_F(EngineTest, ALateJoinerFirstTakesWhatIsInForceThenStages) {
  Start();
  Report(10);
  Adopt();
  const Position first = daemon_.Status().in_force;
  variant_ = 2;
  options_.policy.min_gain = -1;
  options_.policy.gain_over_move_cost = -1e12;
  options_.policy.max_moved_fraction = 1;
  daemon_.Step(event::UpdateDeployment{deployment_, options_});
  daemon_.Step(event::SolveNow{CommandId(1), "chat", true});
  const Position second = daemon_.Status().position;
  ASSERT_GT(second, first);
  Ack(0, second, AckPhase::kReceived);
  OpenSubscriber(1);  // a new agent on an empty disk
  auto mail = MailTo<PlacementUpdate>(subscribers_[1]);
  ASSERT_THAT(mail, SizeIs(1));
  EXPECT_EQ(mail[0].mode, PlacementMode::kInForce);
  EXPECT_EQ(mail[0].plan->position, first);
  Ack(1, first, AckPhase::kReceived);
  Ack(1, first, AckPhase::kApplied);
  mail = MailTo<PlacementUpdate>(subscribers_[1]);
  ASSERT_THAT(mail, SizeIs(2));
  EXPECT_EQ(mail[1].mode, PlacementMode::kPrepare);
  EXPECT_EQ(mail[1].plan->position, second);
}

TEST_F(EngineTest, WhoWasAwayForLongGetsTheWholePlacementAtOnce) {
  Start();
  Report(10);
  Adopt();
  SubscriberHello hello;
  hello.deployment = "chat";
  hello.subscriber_id = "router";
  hello.incarnation = {1, 1};
  hello.features.delta_placement = true;
  hello.placement = {0, 3};  // of a plan that nobody keeps any more
  hello.placement_hash = 42;
  const StreamId stream = daemon_.NewStream();
  daemon_.Step(event::SubscriberOpened{stream, hello});
  ASSERT_FALSE(daemon_.mail(stream).ended.has_value());
  const auto updates = MailTo<PlacementUpdate>(stream);
  ASSERT_THAT(updates, SizeIs(1));
  EXPECT_EQ(updates[0].base, nullptr);
  EXPECT_EQ(updates[0].plan->position, daemon_.Status().in_force);
}

TEST_F(EngineTest, ARestartOnlyEngineIsStagedWhenItDefers) {
  Start();
  Report(10);
  const Position position = daemon_.Status().position;
  Ack(0, position, AckPhase::kReceived);
  Ack(0, position, AckPhase::kDeferred);
  Ack(1, position, AckPhase::kReceived);
  Ack(1, position, AckPhase::kStaged);
  EXPECT_EQ(daemon_.Status().in_force, position);
}

TEST_F(EngineTest, GivingUpWhatIsInForceLeadsBack) {
  Start();
  Report(10);
  Adopt();
  const Position bad = daemon_.Status().in_force;
  Ack(1, bad, AckPhase::kRolledBack);
  daemon_.Advance(absl::Milliseconds(200));
  EXPECT_EQ(daemon_.Status().counters.decisions[DecisionReason::kRollForward], 1u);
  EXPECT_GT(daemon_.Status().position, bad);
  EXPECT_TRUE(daemon_.Status().plans.back().quarantined);
  EXPECT_THAT(daemon_.stored().state->quarantined_hashes, SizeIs(1));
}

TEST_F(EngineTest, TheLinearPlacementIsAskedForAgainAndNeverQuarantined) {
  options_.policy.stage_timeout = absl::Seconds(5);
  Start();
  Report(10);
  Adopt();
  const Position bad = daemon_.Status().in_force;
  Ack(1, bad, AckPhase::kRolledBack);
  daemon_.Advance(absl::Milliseconds(200));
  const Position linear = daemon_.Status().position;
  ASSERT_GT(linear, bad);
  Ack(0, linear, AckPhase::kReceived);
  Ack(1, linear, AckPhase::kNack);
  EXPECT_EQ(daemon_.Status().counters.rollouts_aborted, 1u);
  EXPECT_THAT(daemon_.stored().state->quarantined_hashes, SizeIs(1));  // the bad one
  daemon_.Advance(absl::Seconds(4));
  EXPECT_EQ(daemon_.Status().position, linear);
  daemon_.Advance(absl::Seconds(2));
  const Position again = daemon_.Status().position;
  ASSERT_GT(again, linear);
  Adopt();
  EXPECT_EQ(daemon_.Status().in_force, again);
  EXPECT_EQ(daemon_.Status().plans.front().content_hash, daemon_.Status().plans[1].content_hash);
  Ack(1, again, AckPhase::kRolledBack);  // and there is nothing simpler
  daemon_.Advance(absl::Seconds(1));
  EXPECT_EQ(daemon_.Status().counters.decisions[DecisionReason::kSameContent], 1u);
  EXPECT_EQ(daemon_.Status().position, again);
  EXPECT_THAT(daemon_.stored().state->quarantined_hashes, SizeIs(1));
}

TEST_F(EngineTest, AReporterPastItsLeaseTakesItsCountsAlong) {
  Start();
  Report(10);
  const uint64_t both = daemon_.Status().window_tokens;
  for (int i = 0; i < 61; ++i) {
    Frame idle;
    idle.seq_first = idle.seq_last = seq_[0]++;
    daemon_.Step(event::ReporterFrame{reporters_[0], idle});
    daemon_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(daemon_.Status().coverage, 0.5);
  EXPECT_LT(daemon_.Status().window_tokens, both);
  EXPECT_EQ(daemon_.Status().reporters[1].liveness, ReporterLiveness::kGone);
  // It comes back and is asked for its window, as after a restart of the daemon.
  daemon_.Step(event::ReporterClosed{reporters_[1]});
  OpenReporter(1);
  EXPECT_TRUE(std::get<HelloAck>(daemon_.mail(reporters_[1]).reporter.front()).want_window);
}

TEST_F(EngineTest, VisitsAreMeteredByDomainAndForThePlanThatRan) {
  Start();
  Report(10);
  Adopt();
  Frame frame = testing::FrameOf(deployment_.model,
                                 testing::RandomTraffic(deployment_.model, 4, 2, &rng_).requests,
                                 seq_[0]++, 999);
  for (ReportBlock& block : frame.blocks) {
    block.visit_tokens = block.tokens;
    block.remote_visits = 3;
    block.baseline_remote_visits = 4;
  }
  frame.applied = daemon_.Status().in_force;
  daemon_.Step(event::ReporterFrame{reporters_[0], frame});
  EXPECT_NEAR(*daemon_.Status().measured_saving, 0.25, 1e-12);
  EXPECT_NEAR(*daemon_.Status().plans.front().measured_saving, 0.25, 1e-12);
  // The first plan is a move away from where engines start.
  const Plan& first = *daemon_.Status().plans.front().plan;
  EXPECT_EQ(
      int64_t(first.moves.size()),
      MovedSlots(first.topology, LinearPlacement(first.model, first.topology), first.placement));
  double bytes = 0;
  for (const DomainStatus& domain : daemon_.Status().domains) {
    bytes += domain.internode_bytes;
  }
  EXPECT_EQ(bytes, 3.0 * frame.blocks.size() * deployment_.model.BytesPerVisit());
}

TEST_F(EngineTest, TimeNeverGoesBack) {
  Start();
  Engine& engine = daemon_.engine();
  engine.Step(event::Tick{}, daemon_.now() + absl::Seconds(30));
  engine.Step(event::Tick{}, daemon_.now() - absl::Hours(1));
  EXPECT_EQ(engine.Status().deployments[0].reporters[0].liveness, ReporterLiveness::kStale);
  Frame frame;
  frame.seq_first = frame.seq_last = 1;
  engine.Step(event::ReporterFrame{reporters_[0], frame}, daemon_.now());  // as if 30 s later
  EXPECT_EQ(engine.Status().deployments[0].reporters[0].liveness, ReporterLiveness::kLive);
}

}  // namespace
}  // namespace advisor
