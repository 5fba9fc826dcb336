#include "core/policy/regression_watch.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;

class RegressionWatchTest : public ::testing::Test {
 protected:
  RegressionWatchTest() {
    options_.regression_tokens = 100;
    watch_.Start({1, 2}, 0.4);
  }
  // `tokens` arrive, all known whole, with this saving; the window is 200 tokens.
  std::optional<Verdict> Report(uint64_t tokens, double saving) {
    watch_.Add(tokens, 10.0 * tokens * (1 - saving), 10.0 * tokens);
    const auto verdict = watch_.Check(options_, arrived_, 200);
    arrived_ += tokens;
    return verdict;
  }

  PolicyOptions options_;
  RegressionWatch watch_;
  uint64_t arrived_ = 5000;
};

TEST_F(RegressionWatchTest, TwoPoorChecksRunningLeadBack) {
  EXPECT_FALSE(Report(60, 0.1).has_value());
  EXPECT_FALSE(Report(60, 0.1).has_value());  // the window is not yet half new
  EXPECT_FALSE(Report(60, 0.1).has_value());  // first check ends
  EXPECT_FALSE(Report(60, 0.1).has_value());
  EXPECT_FALSE(Report(60, 0.1).has_value());
  const auto verdict = Report(60, 0.1);
  ASSERT_TRUE(verdict.has_value());
  EXPECT_EQ(verdict->reason, DecisionReason::kRollForward);
  EXPECT_THAT(verdict->detail,
              HasSubstr("measured saving 10.0 % over 180 tokens, predicted 40.0 %"));
}

TEST_F(RegressionWatchTest, AGoodCheckBetweenStartsOver) {
  for (const double saving : {0.1, 0.3, 0.1, 0.3, 0.1}) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(Report(60, saving).has_value());
    }
  }
}

TEST_F(RegressionWatchTest, StartingOverForgetsThePoorCheck) {
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(Report(60, 0.1).has_value());
    }
    watch_.StartOver();
  }
}

TEST_F(RegressionWatchTest, WithoutPredictionItOnlyMeasures) {
  watch_.Start({1, 3}, std::nullopt);
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(Report(60, -0.5).has_value());
  }
  EXPECT_NEAR(*watch_.measured_saving(), -0.5, 1e-12);
  watch_.Start({1, 4}, 0.2);
  EXPECT_FALSE(watch_.measured_saving().has_value());
}

}  // namespace
}  // namespace advisor
