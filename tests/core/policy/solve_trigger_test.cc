#include "core/policy/solve_trigger.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;

// A deployment that runs a plan, and that nothing keeps from solving.
class SolveTriggerTest : public ::testing::Test {
 protected:
  SolveTriggerTest() {
    c_.has_plan = true;
    c_.coverage = 1;
    c_.window_tokens = c_.tokens_since_solve = 100000;
    c_.last_solve = c_.last_commit = now_ - absl::Minutes(10);
  }
  DecisionReason Reason() { return WhenToSolve(c_, options_, now_).reason; }

  absl::Time now_ = absl::UnixEpoch() + absl::Hours(5);
  PolicyOptions options_;
  SolveConditions c_;
};

TEST_F(SolveTriggerTest, WhatMakesASolveDue) {
  EXPECT_EQ(Reason(), DecisionReason::kNoDrift);
  c_.drift = 0.11;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  c_.drift = 0;
  c_.last_solve = now_ - absl::Minutes(30);
  EXPECT_EQ(Reason(), DecisionReason::kPeriodic);
  c_.last_solve.reset();
  EXPECT_EQ(Reason(), DecisionReason::kPeriodic);  // not since the start
  c_.has_plan = false;
  EXPECT_EQ(Reason(), DecisionReason::kFirstPlan);
  c_.topology_changed = true;
  EXPECT_EQ(Reason(), DecisionReason::kTopologyChange);
}

TEST_F(SolveTriggerTest, AReporterThatFillsItsFirstBucketIsWaitedForAWhile) {
  options_.min_window_tokens = 1000;
  c_.has_plan = false;
  c_.filling = true;
  c_.window_tokens = 3999;
  EXPECT_EQ(Reason(), DecisionReason::kTooLittleTraffic);
  c_.window_tokens = 4000;
  EXPECT_EQ(Reason(), DecisionReason::kFirstPlan);
  c_.window_tokens = 1000;
  c_.filling = false;
  EXPECT_EQ(Reason(), DecisionReason::kFirstPlan);
}

TEST_F(SolveTriggerTest, DriftMustLastWhereTrafficSwings) {
  c_.drift = 0.5;
  c_.drifted_tokens = 999;
  c_.lasting_tokens = 1000;
  EXPECT_EQ(Reason(), DecisionReason::kSwinging);
  c_.drifted_tokens = 1000;
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  c_.drifted_tokens = 0;
  c_.last_solve = now_ - absl::Minutes(30);
  EXPECT_EQ(Reason(), DecisionReason::kPeriodic);
}

TEST_F(SolveTriggerTest, WhatKeepsFromSolvingWhateverIsDue) {
  c_.drift = 0.5;
  c_.window_tokens = 16383;
  EXPECT_EQ(Reason(), DecisionReason::kTooLittleTraffic);
  c_.coverage = 0.8;
  EXPECT_EQ(Reason(), DecisionReason::kLowCoverage);
  c_.rollout_running = true;
  EXPECT_EQ(Reason(), DecisionReason::kRolloutRunning);
  c_.frozen = true;
  EXPECT_EQ(Reason(), DecisionReason::kFrozen);
}

TEST_F(SolveTriggerTest, LowCoverageEndsItsWait) {
  c_.drift = 0.5;
  c_.coverage = 0.8;
  c_.coverage_low_since = now_ - absl::Minutes(4);
  EXPECT_EQ(Reason(), DecisionReason::kLowCoverage);
  c_.coverage_low_since = now_ - absl::Minutes(5);
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  c_.coverage = 0;  // nobody reports: there is nothing to go by
  EXPECT_EQ(Reason(), DecisionReason::kLowCoverage);
}

TEST_F(SolveTriggerTest, PausesBetweenSolvesAndPlacements) {
  c_.drift = 0.5;
  c_.last_solve = now_ - absl::Seconds(29);
  EXPECT_EQ(Reason(), DecisionReason::kCooldown);
  c_.last_solve = now_ - absl::Seconds(30);
  EXPECT_EQ(Reason(), DecisionReason::kDrift);
  c_.last_commit = now_ - absl::Seconds(59);
  EXPECT_EQ(Reason(), DecisionReason::kCooldown);
  c_.has_plan = false;  // the first adoption is spared the pause
  EXPECT_EQ(Reason(), DecisionReason::kFirstPlan);
}

TEST_F(SolveTriggerTest, ThePauseDoublesWithEveryAbortUpToTheLongestBetweenSolves) {
  c_.topology_changed = true;
  EXPECT_EQ(Reason(), DecisionReason::kTopologyChange);
  options_.stage_timeout = absl::Seconds(10);
  options_.max_solve_interval = absl::Seconds(60);
  const std::vector<int> pauses = {10, 20, 40, 60, 60};
  for (size_t n = 0; n < pauses.size(); ++n) {
    const absl::Duration pause = absl::Seconds(pauses[n]);
    c_.aborts = {static_cast<int>(n) + 1, now_ - pause + absl::Milliseconds(1), "\"a\" is slow"};
    EXPECT_EQ(Reason(), DecisionReason::kCooldown) << n;
    EXPECT_THAT(WhenToSolve(c_, options_, now_).detail, HasSubstr("\"a\" is slow"));
    c_.aborts.last = now_ - pause;
    EXPECT_EQ(Reason(), DecisionReason::kTopologyChange) << n;
  }
  c_.aborts.in_a_row = 1000000;  // no overflow
  EXPECT_EQ(Reason(), DecisionReason::kTopologyChange);
}

TEST_F(SolveTriggerTest, TheSameTrafficIsNotSolvedForTwice) {
  c_.has_plan = false;
  c_.tokens_since_solve = 16383;
  EXPECT_EQ(Reason(), DecisionReason::kCooldown);
  EXPECT_THAT(WhenToSolve(c_, options_, now_).detail, HasSubstr("16383 new tokens"));
  c_.tokens_since_solve = 16384;
  EXPECT_EQ(Reason(), DecisionReason::kFirstPlan);
  c_.tokens_since_solve = 5000;
  c_.window_tokens = 20000;  // a quarter is enough where the window is small
  EXPECT_EQ(Reason(), DecisionReason::kFirstPlan);
}

}  // namespace
}  // namespace advisor
