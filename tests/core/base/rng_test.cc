#include "core/base/rng.h"

#include <vector>

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(RngTest, SameSeedSameSequenceOnEveryPlatform) {
  // Published first outputs of SplitMix64 for seed 0.
  Rng rng(0);
  EXPECT_EQ(rng.Next(), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(rng.Next(), 0x6e789e6aa1b965f4ULL);
}

TEST(RngTest, BelowIsRoughlyUniformAndInRange) {
  Rng rng(7);
  std::vector<int> seen(10, 0);
  for (int i = 0; i < 100000; ++i) {
    ++seen.at(rng.Below(10));
  }
  for (int count : seen) {
    EXPECT_NEAR(count, 10000, 500);
  }
}

TEST(RngTest, NormalHasUnitVariance) {
  Rng rng(3);
  double sum = 0, squares = 0;
  constexpr int kDraws = 100000;
  for (int i = 0; i < kDraws; ++i) {
    const double x = rng.Normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.02);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
}

TEST(RngTest, ForksDifferAndLeaveTheParentAlone) {
  Rng a(5), b(5);
  EXPECT_NE(a.Fork(1).Next(), a.Fork(2).Next());
  EXPECT_EQ(a.Next(), b.Next());
}

}  // namespace
}  // namespace advisor
