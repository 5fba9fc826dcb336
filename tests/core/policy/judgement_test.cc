#include "core/policy/judgement.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_plan.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;

class JudgementTest : public ::testing::Test {
 protected:
  JudgementTest() {
    candidate_.plan = &next_;
    candidate_.in_force = &now_;
    candidate_.due = {DecisionReason::kDrift, "drift 0.2"};
    SetVisits(1.0, 0.5);
    options_.max_moved_fraction = 1;
  }
  // Remote visits per token and layer, in force and of the candidate.
  void SetVisits(double now, double next) {
    candidate_.figures.emplace();
    candidate_.figures->remote_visits_per_token_layer = next;
    candidate_.figures_in_force.emplace();
    candidate_.figures_in_force->remote_visits_per_token_layer = now;
  }
  Verdict Verdict_() { return Judge(candidate_, params_, options_); }
  DecisionReason Reason() { return Verdict_().reason; }

  // 2 layers, a visit costs 16 x 3 bytes, an expert 1000 bytes.
  ModelSpec model_ = testing::SmallModel(2, 16, 2);
  Topology topology_ = *Topology::Uniform(2, 2, 4);
  Plan now_ = testing::LinearPlan(model_, topology_, 0);
  Plan next_ = testing::LinearPlan(model_, topology_, 1);  // 8 slots to fill
  Candidate candidate_;
  SolveParams params_;
  PolicyOptions options_;
};

TEST_F(JudgementTest, PublishesForTheReasonItWasDue) {
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  EXPECT_THAT(Verdict_().detail, HasSubstr("gain 50.0 %"));
  EXPECT_THAT(Verdict_().detail, HasSubstr("8 moves, 8000 bytes"));
}

TEST_F(JudgementTest, GainBelowTheLeast) {
  SetVisits(1.0, 0.981);
  EXPECT_EQ(Reason(), DecisionReason::kNoGain);
  SetVisits(1.0, 0.979);
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  SetVisits(0, 0);  // one node: nothing to save
  EXPECT_EQ(Reason(), DecisionReason::kNoGain);
}

TEST_F(JudgementTest, BytesSavedMustPayForTheMoves) {
  // Half a visit in 2 layers of 48 bytes saves 48 bytes a token; 8 moves cost 8000, twice that is
  // wanted.
  options_.plan_life_tokens = 333;
  EXPECT_EQ(Reason(), DecisionReason::kGainBelowMoveCost);
  options_.plan_life_tokens = 334;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
}

TEST_F(JudgementTest, WithoutWholeTokensActivationsStandForVisits) {
  for (auto* figures : {&candidate_.figures, &candidate_.figures_in_force}) {
    (*figures)->remote_visits_per_token_layer.reset();
  }
  candidate_.figures->remote_activation_ratio = 0.4;
  candidate_.figures_in_force->remote_activation_ratio = 0.5;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  EXPECT_THAT(Verdict_().detail, HasSubstr("remote activations"));
}

TEST_F(JudgementTest, BalanceIsJudgedByLoad) {
  params_.objective = Objective::kBalance;
  SetVisits(1.0, 2.0);
  candidate_.figures->gpu_load.mean = 1.1;
  candidate_.figures_in_force->gpu_load.mean = 1.5;
  options_.plan_life_tokens = 0;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
}

TEST_F(JudgementTest, WhatIsRefusedWhateverItGains) {
  options_.max_moved_fraction = 0.1;
  EXPECT_EQ(Reason(), DecisionReason::kValidationFailed);
  next_ = now_;
  EXPECT_EQ(Reason(), DecisionReason::kSameContent);
  candidate_.quarantined = true;
  EXPECT_EQ(Reason(), DecisionReason::kQuarantined);
  candidate_.frozen = true;
  EXPECT_EQ(Reason(), DecisionReason::kFrozen);
}

TEST_F(JudgementTest, TheFirstAdoptionIsSparedTheMoveBudget) {
  options_.max_moved_fraction = 0.1;
  candidate_.in_force = nullptr;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
}

TEST_F(JudgementTest, ForcedOrForAnotherTopologyTheGainDoesNotMatter) {
  SetVisits(1.0, 2.0);
  EXPECT_EQ(Reason(), DecisionReason::kNoGain);
  candidate_.forced = true;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  candidate_.forced = false;
  candidate_.due.reason = DecisionReason::kTopologyChange;
  EXPECT_EQ(Reason(), DecisionReason::kTopologyChange);
}

TEST_F(JudgementTest, NothingHeldOutDecidesNothing) {
  candidate_.figures.reset();
  EXPECT_EQ(Reason(), DecisionReason::kTooLittleTraffic);
}

TEST_F(JudgementTest, FiguresComeFromRequestsPlacedByThePlan) {
  Rng rng(3);
  const Traffic traffic = testing::RandomTraffic(model_, 40, 2, &rng);
  next_.grouping = testing::ByDomain(model_, topology_, 2);
  const auto grouped = FiguresOn(next_, traffic, params_);
  const auto dealt = FiguresOn(now_, traffic, params_);
  const auto linear = LinearFiguresOn(next_, traffic, params_);
  ASSERT_THAT(grouped, testing::IsOk());
  ASSERT_THAT(dealt, testing::IsOk());
  ASSERT_THAT(linear, testing::IsOk());
  EXPECT_LT(*(*grouped)->remote_visits_per_token_layer, *(*dealt)->remote_visits_per_token_layer);
  EXPECT_EQ(*(*dealt)->remote_visits_per_token_layer, *(*linear)->remote_visits_per_token_layer);
  EXPECT_FALSE((*FiguresOn(next_, Traffic{model_, "", {}}, params_)).has_value());
}

}  // namespace
}  // namespace advisor
