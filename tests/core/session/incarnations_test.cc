#include "core/session/incarnations.h"

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(IncarnationsTest, TheNewestWinsAndTheLastEightBeforeItAreRefused) {
  Incarnations incarnations;
  EXPECT_EQ(incarnations.Judge({0, 1}), Incarnations::Verdict::kNew);
  for (uint64_t i = 1; i <= 10; ++i) {
    incarnations.Accept({0, i});
    EXPECT_EQ(incarnations.Judge({0, i}), Incarnations::Verdict::kCurrent);
  }
  for (uint64_t i = 2; i <= 9; ++i) {
    EXPECT_EQ(incarnations.Judge({0, i}), Incarnations::Verdict::kRetired);
  }
  EXPECT_EQ(incarnations.Judge({0, 1}), Incarnations::Verdict::kNew);  // beyond memory
  EXPECT_EQ(incarnations.Judge({1, 9}), Incarnations::Verdict::kNew);
  incarnations.Accept({0, 10});
  EXPECT_EQ(incarnations.Judge({0, 2}), Incarnations::Verdict::kRetired);
}

}  // namespace
}  // namespace advisor
