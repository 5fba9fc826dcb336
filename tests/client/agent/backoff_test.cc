#include "client/agent/backoff.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace advisor::client {
namespace {

constexpr absl::Duration kMin = absl::Seconds(1), kMax = absl::Seconds(60), kAtOnce;

TEST(BackoffTest, PausesAreJitteredBelowABoundThatDoubles) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(kMin, kMax, seed);
    for (absl::Duration bound = kMin; bound < 4 * kMax; bound *= 2) {
      EXPECT_LT(backoff.Next(kAtOnce), std::min(bound, kMax));
    }
    EXPECT_LT(backoff.Next(Backoff::kStable), kMin);
  }
}

TEST(BackoffTest, WhatTheDaemonAsksForIsTheLeastAndIsJittered) {
  absl::Duration least = absl::InfiniteDuration(), most;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const absl::Duration pause = Backoff(kMin, kMax, seed).Next(kAtOnce, absl::Seconds(5));
    least = std::min(least, pause);
    most = std::max(most, pause);
  }
  EXPECT_GE(least, absl::Seconds(5));
  EXPECT_LT(least, absl::Seconds(6));
  EXPECT_GT(most, absl::Seconds(9));
  EXPECT_LE(most, absl::Seconds(10));
}

TEST(BackoffTest, ThoseSentAwayForLongAreSpreadOverAFewSecondsOnly) {
  constexpr absl::Duration kAsked = absl::Seconds(20);
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const absl::Duration pause = Backoff(kMin, kMax, seed).Next(kAtOnce, kAsked);
    EXPECT_GE(pause, kAsked);
    EXPECT_LE(pause, kAsked + Backoff::kSpread);
  }
}

// However long the daemon was away; but one that only ever sends away is not hammered.
TEST(BackoffTest, ADaemonThatIsFoundAgainSaysWhenToCome) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(kMin, kMax, seed);
    for (int attempt = 0; attempt < 10; ++attempt) {
      backoff.Next(kAtOnce);
    }
    EXPECT_LE(backoff.Next(kAtOnce, kMin), 2 * kMin);
    absl::Duration most;
    for (int attempt = 0; attempt < 20; ++attempt) {
      most = std::max(most, backoff.Next(kAtOnce, kMin));
    }
    EXPECT_GT(most, kMax / 4);
  }
}

TEST(BackoffTest, NobodyIsSentAwayForLongerThanTheLongestPause) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Backoff backoff(kMin, kMax, seed);
    EXPECT_LE(backoff.Next(kAtOnce, absl::Hours(24)), kMax);
    EXPECT_LT(backoff.Next(Backoff::kStable, absl::Seconds(-5)), kMin);
  }
}

}  // namespace
}  // namespace advisor::client
