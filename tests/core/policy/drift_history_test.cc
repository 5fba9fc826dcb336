#include "core/policy/drift_history.h"

#include "gtest/gtest.h"

namespace advisor {
namespace {

class DriftHistoryTest : public ::testing::Test {
 protected:
  DriftHistoryTest() { options_.plan_life_tokens = 10'000; }
  void Add(double drift, uint64_t tokens) { history_.Add(drift, tokens, options_); }

  PolicyOptions options_;  // the threshold is 0.1
  DriftHistory history_;
};

TEST_F(DriftHistoryTest, DriftCountsAtOnceWhereNothingEverCameBack) {
  Add(0.05, 1000);
  EXPECT_EQ(history_.drifted_tokens(), 0u);
  Add(0.3, 2000);
  Add(0.4, 2500);
  EXPECT_EQ(history_.drifted_tokens(), 500u);
  EXPECT_EQ(history_.lasting_tokens(), 0u);
}

TEST_F(DriftHistoryTest, AfterASwingItMustLastTwiceAsLongAsTheLongest) {
  Add(0.3, 1000);
  Add(0.05, 1800);
  Add(0.3, 2000);
  Add(0.05, 2100);  // a shorter one does not count less
  EXPECT_EQ(history_.lasting_tokens(), 1600u);
  Add(0.3, 3000);
  Add(0.3, 4600);
  EXPECT_EQ(history_.drifted_tokens(), 1600u);
}

TEST_F(DriftHistoryTest, WhatASolveEndsIsNoSwing) {
  Add(0.3, 1000);
  history_.Solved();
  Add(0.0, 1500);
  EXPECT_EQ(history_.drifted_tokens(), 0u);
  EXPECT_EQ(history_.lasting_tokens(), 0u);
}

TEST_F(DriftHistoryTest, SwingsAreRememberedOverSolvesForThePlansLife) {
  Add(0.3, 1000);
  Add(0.0, 2000);
  history_.Solved();
  Add(0.0, 12'000);
  EXPECT_EQ(history_.lasting_tokens(), 2000u);
  Add(0.0, 12'001);
  EXPECT_EQ(history_.lasting_tokens(), 0u);
}

}  // namespace
}  // namespace advisor
