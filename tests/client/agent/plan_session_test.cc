#include "client/agent/plan_session.h"

#include "client/agent/watch.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const ModelSpec kModel = SmallModel(2, 8, 2);

Plan MakePlan(uint64_t seed) {
  Rng rng(seed);
  Plan plan;
  plan.model = kModel;
  plan.topology = *Topology::Uniform(2, 2, 3);
  plan.placement = RandomPlacement(kModel, plan.topology, &rng);
  return plan;
}

Grouping MakeGrouping() {
  Grouping g;
  g.layers = kModel.moe_layers;
  g.experts = kModel.experts;
  g.nodes = 2;
  g.bias.assign(2, 0);
  g.node_share.assign(2, 0.5f);
  g.affinity.assign(2 * 8 * 2, 0);
  return g;
}

PlanSessionOptions Options(bool wait = true) {
  PlanSessionOptions options;
  options.deployment = "chat";
  options.subscriber_id = "node-0";
  options.node = "node-0";
  options.wait_for_engines = wait;
  return options;
}

PlanAck EngineAck(Position position, AckPhase phase, uint64_t step = 0) {
  PlanAck ack;
  ack.position = position;
  ack.phase = phase;
  ack.step = step;
  return ack;
}

std::vector<AckPhase> Phases(const PlanEffects& effects) {
  std::vector<AckPhase> phases;
  for (const PlanAck& ack : effects.acks) {
    phases.push_back(ack.phase);
  }
  return phases;
}

std::vector<AckPhase> Phases(const absl::StatusOr<PlanEffects>& effects) {
  return effects.ok() ? Phases(*effects) : std::vector<AckPhase>{};
}

TEST(PlanSessionTest, PreparesStagesCommitsAndApplies) {
  PlanSession session(Options(), {1, 2});
  EXPECT_EQ(session.Hello().placement, Position{});
  PlanEffects prepared = session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kPrepare);
  EXPECT_THAT(Phases(prepared), ElementsAre(AckPhase::kReceived));
  EXPECT_EQ(prepared.store, nullptr);  // not in force yet
  EXPECT_THAT(Phases(session.OnEngineAck(EngineAck({1, 1}, AckPhase::kStaged))),
              ElementsAre(AckPhase::kStaged));
  PlanEffects committed = session.OnDecision({{1, 1}, true, ""});
  ASSERT_NE(committed.store, nullptr);
  EXPECT_EQ(committed.store->position, (Position{1, 1}));
  EXPECT_EQ(committed.store->deployment, "chat");
  EXPECT_TRUE(committed.acks.empty());
  const auto applied = session.OnEngineAck(EngineAck({1, 1}, AckPhase::kApplied, 42));
  ASSERT_THAT(Phases(applied), ElementsAre(AckPhase::kApplied));
  EXPECT_EQ(applied->acks[0].step, 42u);
  // The commit is sent again until acknowledged.
  EXPECT_THAT(Phases(session.OnDecision({{1, 1}, true, ""})), ElementsAre(AckPhase::kApplied));
  EXPECT_EQ(session.Hello().placement, (Position{1, 1}));
  EXPECT_EQ(session.Hello().placement_hash, PlacementHash(*session.in_force()));
}

TEST(PlanSessionTest, EnginesThatOnlyReadAreAcknowledgedOnHandOver) {
  PlanSession session(Options(false), {1, 2});
  EXPECT_THAT(Phases(session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kPrepare)),
              ElementsAre(AckPhase::kReceived, AckPhase::kStaged));
  PlanEffects committed = session.OnDecision({{1, 1}, true, ""});
  EXPECT_NE(committed.store, nullptr);
  EXPECT_THAT(Phases(committed), ElementsAre(AckPhase::kApplied));
  PlanEffects late = session.OnPlacement({1, 2}, MakePlan(2), PlacementMode::kInForce);
  EXPECT_THAT(Phases(late),
              ElementsAre(AckPhase::kReceived, AckPhase::kStaged, AckPhase::kApplied));
  EXPECT_EQ(late.store->position, (Position{1, 2}));
}

TEST(PlanSessionTest, AllEnginesOfANodeMustConfirm) {
  PlanSessionOptions options = Options();
  options.engines = 2;
  PlanSession session(options, {1, 2});
  session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kPrepare);
  EXPECT_TRUE(Phases(session.OnEngineAck(EngineAck({1, 1}, AckPhase::kStaged))).empty());
  EXPECT_THAT(Phases(session.OnEngineAck(EngineAck({1, 1}, AckPhase::kStaged))),
              ElementsAre(AckPhase::kStaged));
}

TEST(PlanSessionTest, AnAbortDropsWhatWasStaged) {
  PlanSession session(Options(), {1, 2});
  session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kInForce);
  session.OnPlacement({1, 2}, MakePlan(2), PlacementMode::kPrepare);
  PlanEffects aborted = session.OnDecision({{1, 2}, false, "timeout"});
  EXPECT_EQ(session.staging(), nullptr);
  EXPECT_EQ(session.in_force()->position, (Position{1, 1}));
  EXPECT_EQ(aborted.store, nullptr);
  EXPECT_EQ(aborted.acks.size(), 1u);
  EXPECT_THAT(session.OnEngineAck(EngineAck({1, 2}, AckPhase::kStaged)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("position 1.2")));
}

TEST(PlanSessionTest, RefusalsCarryTheReason) {
  PlanSession session(Options(), {1, 2});
  auto nack = [](const PlanEffects& effects) {
    return effects.acks.size() == 1 && effects.acks[0].phase == AckPhase::kNack
               ? effects.acks[0].nack
               : NackReason::kNone;
  };
  EXPECT_EQ(nack(session.OnPlacement({1, 1}, absl::InvalidArgumentError("odd size"),
                                     PlacementMode::kPrepare)),
            NackReason::kDecode);
  EXPECT_EQ(nack(session.OnPlacement({1, 1}, absl::DataLossError("hash"), PlacementMode::kPrepare)),
            NackReason::kHashMismatch);
  Plan missing = MakePlan(1);
  missing.placement.row(LayerId(0))[0] = 99;
  EXPECT_EQ(nack(session.OnPlacement({1, 1}, missing, PlacementMode::kPrepare)),
            NackReason::kInvalid);
  session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kInForce);
  Plan other = MakePlan(2);
  other.model.name = "other";
  EXPECT_EQ(nack(session.OnPlacement({1, 2}, other, PlacementMode::kPrepare)),
            NackReason::kModelMismatch);
  other.model.name = MakePlan(1).model.name;
  other.model.expert_bytes += 7;
  const PlanEffects effects = session.OnPlacement({1, 2}, other, PlacementMode::kPrepare);
  EXPECT_EQ(nack(effects), NackReason::kModelMismatch);
  EXPECT_THAT(effects.acks[0].nack_message, HasSubstr(": expert_bytes 1007 against 1000; "));
  PlanAck refused = EngineAck({1, 3}, AckPhase::kNack);
  refused.nack = NackReason::kOutOfMemory;
  session.OnPlacement({1, 3}, MakePlan(3), PlacementMode::kPrepare);
  ASSERT_THAT(Phases(session.OnEngineAck(refused)), ElementsAre(AckPhase::kNack));
  EXPECT_EQ(session.staging(), nullptr);
  EXPECT_EQ(session.in_force()->position, (Position{1, 1}));  // the old one runs on
}

TEST(PlanSessionTest, ADeltaAgainstWhatIsNotHeldSubscribesAnew) {
  PlanSession session(Options(), {1, 2});
  session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kInForce);
  EXPECT_NE(session.Base({1, 1}), nullptr);
  EXPECT_EQ(session.Base({1, 7}), nullptr);
  PlanEffects effects = session.OnPlacement({1, 8}, absl::FailedPreconditionError("base 1.7"),
                                            PlacementMode::kPrepare);
  EXPECT_TRUE(effects.subscribe_anew);
  EXPECT_TRUE(effects.acks.empty());
  EXPECT_EQ(session.Hello().placement, Position{});
  session.OnPlacement({1, 8}, MakePlan(8), PlacementMode::kInForce);
  EXPECT_EQ(session.Hello().placement, (Position{1, 8}));
}

TEST(PlanSessionTest, NeverGoesBackToASmallerPosition) {
  PlanSession session(Options(false), {1, 2});
  session.OnPlacement({2, 1}, MakePlan(1), PlacementMode::kInForce);
  PlanEffects late = session.OnPlacement({1, 9}, MakePlan(2), PlacementMode::kInForce);
  EXPECT_TRUE(late.acks.empty());
  EXPECT_EQ(session.in_force()->position, (Position{2, 1}));
}

TEST(PlanSessionTest, AdviceIsKeptButNotActedOn) {
  PlanSession session(Options(false), {1, 2});
  PlanEffects effects = session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kAdvisory);
  EXPECT_THAT(Phases(effects), ElementsAre(AckPhase::kReceived));
  EXPECT_EQ(effects.store, nullptr);
  EXPECT_EQ(session.in_force(), nullptr);
  EXPECT_EQ(session.advisory()->position, (Position{1, 1}));
}

TEST(PlanSessionTest, AGroupingWaitsForItsPlacement) {
  PlanSession session(Options(), {1, 2});
  session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kPrepare);
  EXPECT_THAT(Phases(session.OnGrouping({1, 1}, MakeGrouping(), {1, 1})),
              ElementsAre(AckPhase::kReceived));
  session.OnEngineAck(EngineAck({1, 1}, AckPhase::kStaged)).IgnoreError();
  session.OnDecision({{1, 1}, true, ""});
  EXPECT_TRUE(session.in_force()->grouping.empty());
  const auto applied = session.OnEngineAck(EngineAck({1, 1}, AckPhase::kApplied));
  EXPECT_THAT(Phases(applied), ElementsAre(AckPhase::kApplied, AckPhase::kApplied));
  ASSERT_NE(applied->store, nullptr);
  EXPECT_EQ(applied->store->grouping.revision, 1u);
  EXPECT_EQ(applied->acks[1].subject, AckSubject::kGrouping);
}

TEST(PlanSessionTest, AStoredPlanGoesOnAndIsAcknowledged) {
  PlanSession session(Options(false), {1, 2});
  Plan stored = MakePlan(4);
  stored.position = {3, 7};
  session.Restore(stored);
  EXPECT_EQ(session.Hello().placement, (Position{3, 7}));
  EXPECT_THAT(Phases(session.OnUpToDate({3, 7})), ElementsAre(AckPhase::kApplied));
  EXPECT_TRUE(Phases(session.OnUpToDate({3, 8})).empty());
}

TEST(PlanSessionTest, EnginesThatMustRestartDeferAndAreSeenToApply) {
  PlanSessionOptions options = Options(false);
  options.ability = ApplyAbility::kRestartOnly;
  PlanSession session(options, {1, 2});
  EXPECT_THAT(Phases(session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kInForce)),
              ElementsAre(AckPhase::kReceived, AckPhase::kDeferred));
  EXPECT_TRUE(Phases(session.OnEngineRuns({}, 5)).empty());
  EXPECT_THAT(Phases(session.OnEngineRuns({1, 1}, 6)), ElementsAre(AckPhase::kApplied));
  EXPECT_TRUE(Phases(session.OnEngineRuns({1, 1}, 7)).empty());
}

TEST(PlanSessionTest, APlanThatCannotBeStoredIsRefused) {
  PlanSession session(Options(false), {1, 2});
  PlanEffects effects = session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kInForce);
  PlanEffects failed = session.OnStoreFailed(*effects.store, "disk full");
  ASSERT_EQ(failed.acks.size(), 1u);
  EXPECT_EQ(failed.acks[0].nack_message, "disk full");
}

// What a watching engine hears, in short.
std::string Hear(Watch* watch, const PlanSession& session) {
  std::string heard;
  while (auto message = watch->Next(session)) {
    if (auto* placement = std::get_if<PlacementUpdate>(&*message)) {
      heard += placement->mode == PlacementMode::kPrepare   ? "prepare "
               : placement->mode == PlacementMode::kInForce ? "in_force "
                                                            : "advisory ";
      heard += std::to_string(placement->plan->position.revision) + ";";
    } else if (auto* decision = std::get_if<RolloutDecision>(&*message)) {
      heard += (decision->commit ? "commit " : "abort ") +
               std::to_string(decision->position.revision) + ";";
    } else {
      heard += "grouping;";
    }
  }
  return heard;
}

TEST(WatchTest, FollowsARollout) {
  PlanSession session(Options(), {1, 2});
  Watch watch({});
  EXPECT_EQ(Hear(&watch, session), "");
  session.OnPlacement({1, 1}, MakePlan(1), PlacementMode::kPrepare);
  EXPECT_EQ(Hear(&watch, session), "prepare 1;");
  session.OnDecision({{1, 1}, true, ""});
  EXPECT_EQ(Hear(&watch, session), "commit 1;");
  session.OnPlacement({1, 2}, MakePlan(2), PlacementMode::kPrepare);
  session.OnDecision({{1, 2}, false, ""});
  EXPECT_EQ(Hear(&watch, session), "");  // came and went unheard
  session.OnPlacement({1, 3}, MakePlan(3), PlacementMode::kPrepare);
  EXPECT_EQ(Hear(&watch, session), "prepare 3;");
  session.OnDecision({{1, 3}, false, ""});
  session.OnPlacement({1, 4}, MakePlan(4), PlacementMode::kPrepare);
  EXPECT_EQ(Hear(&watch, session), "abort 3;prepare 4;");
}

TEST(WatchTest, LateEnginesHearOnlyTheLatest) {
  PlanSession session(Options(false), {1, 2});
  for (uint64_t r = 1; r <= 5; ++r) {
    session.OnPlacement({1, r}, MakePlan(r), PlacementMode::kInForce);
  }
  session.OnGrouping({1, 1}, MakeGrouping(), {});
  Watch fresh({}), holding({1, 5});
  EXPECT_EQ(Hear(&fresh, session), "in_force 5;grouping;");
  EXPECT_EQ(Hear(&holding, session), "grouping;");
}

}  // namespace
}  // namespace advisor::client
