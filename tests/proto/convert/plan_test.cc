#include "proto/convert/plan.h"

#include <memory>
#include <string>
#include <utility>

#include "core/base/rng.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/sample_plan.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

std::shared_ptr<Plan> SomePlan(uint64_t seed, bool with_choice) {
  auto plan = std::make_shared<Plan>(testing::SamplePlan(seed));
  if (with_choice) {
    Rng rng(seed);
    plan->remote_choice =
        testing::RandomRemoteChoice(plan->model, plan->topology, plan->placement, &rng);
  }
  return plan;
}

TEST(PlacementConvertTest, FullUpdateReturns) {
  for (const bool with_choice : {false, true}) {
    const auto plan = SomePlan(7, with_choice);
    const v1::PlacementUpdate update =
        ToProto(PlacementUpdate{plan, nullptr, PlacementMode::kPrepare});
    ASSERT_OK_AND_ASSIGN(const DecodedPlacement back, FromProto(update, nullptr));
    EXPECT_EQ(back.mode, PlacementMode::kPrepare);
    EXPECT_EQ(back.content_hash, PlacementHash(*plan));
    EXPECT_EQ(back.plan.position, plan->position);
    EXPECT_EQ(back.plan.model, plan->model);
    EXPECT_EQ(back.plan.topology, plan->topology);
    EXPECT_EQ(back.plan.placement, plan->placement);
    EXPECT_EQ(back.plan.remote_choice, plan->remote_choice);
    EXPECT_EQ(back.plan.moves, plan->moves);
    EXPECT_EQ(back.plan.predicted->figures, plan->predicted->figures);
    EXPECT_EQ(back.plan.reason, "drift");
    EXPECT_EQ(back.plan.seed, 9u);
    EXPECT_EQ(back.plan.method, "joint");
  }
}

TEST(PlacementConvertTest, DeltaCarriesOnlyRowsThatDiffer) {
  const auto base = SomePlan(1, true);
  auto plan = std::make_shared<Plan>(*base);
  plan->position = {1, 2};
  std::swap(plan->placement.row(LayerId(1))[0], plan->placement.row(LayerId(1))[5]);
  plan->remote_choice.row(LayerId(2), NodeId(0))[3] = 1;
  plan->remote_choice.row(LayerId(2), NodeId(0))[4] = 2;
  const v1::PlacementUpdate update = ToProto(PlacementUpdate{plan, base, PlacementMode::kAdvisory});
  ASSERT_TRUE(update.has_delta());
  ASSERT_EQ(update.delta().layers_size(), 2);
  EXPECT_TRUE(update.delta().layers(0).remote_choice().empty());
  EXPECT_TRUE(update.delta().layers(1).placement().empty());
  ASSERT_OK_AND_ASSIGN(const DecodedPlacement back, FromProto(update, base.get()));
  EXPECT_EQ(back.plan.placement, plan->placement);
  EXPECT_EQ(back.plan.remote_choice, plan->remote_choice);

  EXPECT_THAT(FromProto(update, nullptr),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("without a position")));
  auto other = std::make_shared<Plan>(*base);
  other->position = {1, 9};
  EXPECT_THAT(FromProto(update, other.get()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("plan 1/1")));
  auto altered = std::make_shared<Plan>(*base);
  std::swap(altered->placement.row(LayerId(0))[0], altered->placement.row(LayerId(0))[5]);
  EXPECT_THAT(FromProto(update, altered.get()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("content hash")));
}

TEST(PlacementConvertTest, IsFullWhereRowsCannotTellTheDifference) {
  const auto base = SomePlan(1, true);
  const auto plan = SomePlan(2, false);
  EXPECT_TRUE(ToProto(PlacementUpdate{plan, base, PlacementMode::kAdvisory}).has_full());
}

TEST(PlacementConvertTest, RefusesWhatCannotBeDecoded) {
  const auto plan = SomePlan(7, true);
  const v1::PlacementUpdate good = ToProto(PlacementUpdate{plan, nullptr, PlacementMode::kPrepare});
  const auto error = [&](auto change) {
    v1::PlacementUpdate update = good;
    change(update);
    return FromProto(update, nullptr).status();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(error([](auto& u) { u.mutable_full()->mutable_placement()->pop_back(); }),
              StatusIs(invalid, HasSubstr("placement has 71 bytes")));
  EXPECT_THAT(error([](auto& u) { u.mutable_full()->mutable_remote_choice()->pop_back(); }),
              StatusIs(invalid, HasSubstr("remote_choice has 71 bytes")));
  EXPECT_THAT(error([](auto& u) { u.clear_full(); }), StatusIs(invalid, HasSubstr("no body")));
  EXPECT_THAT(error([](auto& u) { u.set_mode(v1::PLACEMENT_MODE_UNSPECIFIED); }),
              StatusIs(invalid, HasSubstr("mode is 0")));
  EXPECT_THAT(error([](auto& u) { u.mutable_moves(0)->set_slot(12); }),
              StatusIs(invalid, HasSubstr("out of range")));
  EXPECT_THAT(error([](auto& u) { u.mutable_full()->mutable_placement()->at(0) ^= 1; }),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("content hash")));
}

TEST(GroupingConvertTest, EveryFieldReturns) {
  const auto plan = SomePlan(7, true);
  ASSERT_OK_AND_ASSIGN(const DecodedGrouping back,
                       FromProto(ToProto(GroupingUpdate{plan, {1, 4}, {1, 7}})));
  Grouping want = plan->grouping;
  want.revision = 4;  // that of the update's position
  EXPECT_EQ(back.grouping, want);
  EXPECT_EQ(back.position, (Position{1, 4}));
  EXPECT_EQ(back.needs_placement, (Position{1, 7}));
}

TEST(GroupingConvertTest, RefusesWrongSizesAndHashes) {
  v1::GroupingUpdate update = ToProto(GroupingUpdate{SomePlan(7, true), {1, 4}, {}});
  v1::GroupingUpdate huge = update;
  huge.set_layers(4'000'000'000u);
  EXPECT_THAT(FromProto(huge), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("limit")));
  update.mutable_affinity()->at(0) ^= 1;
  EXPECT_THAT(FromProto(update), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("hash")));
  update.mutable_affinity()->pop_back();
  EXPECT_THAT(FromProto(update),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("grouping.affinity")));
}

TEST(SubscriberHelloConvertTest, EveryFieldReturns) {
  SubscriberHello hello;
  hello.deployment = "chat";
  hello.subscriber_id = "agent-1";
  hello.incarnation = {1, 2};
  hello.model_fingerprint = 3;
  hello.role = Role::kActor;
  hello.ability = ApplyAbility::kRestartOnly;
  hello.node = "node-1";
  hello.features.delta_placement = true;
  hello.required.samples = true;
  hello.placement = {1, 2};
  hello.placement_hash = 4;
  hello.grouping = {1, 3};
  hello.grouping_hash = 5;
  ASSERT_OK_AND_ASSIGN(const SubscriberHello back, FromProto(ToProto(hello)));
  EXPECT_EQ(back.deployment, "chat");
  EXPECT_EQ(back.subscriber_id, "agent-1");
  EXPECT_EQ(back.incarnation, hello.incarnation);
  EXPECT_EQ(back.model_fingerprint, 3u);
  EXPECT_EQ(back.role, Role::kActor);
  EXPECT_EQ(back.ability, ApplyAbility::kRestartOnly);
  EXPECT_EQ(back.node, "node-1");
  EXPECT_TRUE(back.features.delta_placement);
  EXPECT_EQ(back.required, hello.required);
  EXPECT_EQ(back.placement, hello.placement);
  EXPECT_EQ(back.placement_hash, 4u);
  EXPECT_EQ(back.grouping, hello.grouping);
  EXPECT_EQ(back.grouping_hash, 5u);

  v1::SubscribeHello old = ToProto(hello);
  old.clear_features();  // of a peer that only knows the field of its own
  EXPECT_TRUE(FromProto(old)->features.delta_placement);
  old.add_required_features("telepathy");
  EXPECT_THAT(FromProto(old),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("FEATURE_MISSING")));

  hello.node = "";
  EXPECT_THAT(FromProto(ToProto(hello)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must name its node")));
}

TEST(AckConvertTest, ANackSaysWhy) {
  PlanAck ack;
  ack.position = {1, 2};
  ack.phase = AckPhase::kNack;
  ack.nack = NackReason::kOutOfMemory;
  ack.nack_message = "no room";
  ASSERT_OK_AND_ASSIGN(const PlanAck back, FromProto(ToProto(ack)));
  EXPECT_EQ(back.subject, AckSubject::kPlacement);
  EXPECT_EQ(back.position, ack.position);
  EXPECT_EQ(back.phase, AckPhase::kNack);
  EXPECT_EQ(back.nack, NackReason::kOutOfMemory);
  EXPECT_EQ(back.nack_message, "no room");
  ack.nack = NackReason::kNone;
  EXPECT_THAT(FromProto(ToProto(ack)),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must say why")));
  EXPECT_FALSE(FromProto(v1::Ack()).ok());
}

TEST(SubscriberMessageConvertTest, EveryKindHasItsField) {
  const auto plan = SomePlan(7, true);
  EXPECT_TRUE(ToProto(SubscriberMessage(UpToDate{{1, 2}, {1, 3}})).has_up_to_date());
  EXPECT_TRUE(ToProto(SubscriberMessage(Progress{{1, 2}, {1, 3}})).has_progress());
  EXPECT_TRUE(ToProto(SubscriberMessage(PlacementUpdate{plan, nullptr, PlacementMode::kInForce}))
                  .has_placement());
  EXPECT_TRUE(ToProto(SubscriberMessage(GroupingUpdate{plan, {1, 4}, {}})).has_grouping());
  const v1::SubscribeResponse response =
      ToProto(SubscriberMessage(RolloutDecision{{1, 2}, true, "x"}));
  ASSERT_TRUE(response.has_decision());
  ASSERT_OK_AND_ASSIGN(const RolloutDecision decision, FromProto(response.decision()));
  EXPECT_TRUE(decision.commit);
  EXPECT_EQ(decision.position, (Position{1, 2}));
  EXPECT_EQ(decision.reason, "x");
}

}  // namespace
}  // namespace advisor
