#include "core/stats/token_patterns.h"

#include "core/base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/traffic_builder.h"

namespace advisor {
namespace {

using ::advisor::testing::TrafficBuilder;
using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(TokenPatternsTest, OverlapOfNeighbours) {
  TrafficBuilder b(2, 4, 2);
  b.Add("a", "code", 1, {{0, 1, 0, 1}, {1, 2, 1, 0}, {3, 0, 1, 0}});
  b.Add("b", "code", 0, {{0, 1, 2, 3}});  // no neighbour, and never one of the next request's
  // Layer 0 shares 1 of 2, then 0 of 2; layer 1 shares both twice.
  EXPECT_THAT(TokenOverlapPerLayer(b.traffic(), PhaseFilter::kAll),
              ElementsAre(DoubleEq(0.25), DoubleEq(1)));
  EXPECT_THAT(TokenOverlapPerLayer(b.traffic(), PhaseFilter::kDecode),
              ElementsAre(DoubleEq(0), DoubleEq(1)));
  EXPECT_THAT(TokenOverlapPerLayer(b.traffic(), PhaseFilter::kAll, 2),
              ElementsAre(DoubleEq(0.5), DoubleEq(1)));
  EXPECT_THAT(TokenOverlapPerLayer(b.traffic(), PhaseFilter::kAll, 9), ElementsAre(0, 0));
}

TEST(TokenPatternsTest, CoActivationAgainstChance) {
  TrafficBuilder b(1, 4, 2);
  b.Add("a", "code", 0, {{0, 1}, {1, 0}, {2, 3}, {3, 2}});
  b.AddCounts("sums", "code", 1, {1, 1, 0, 0});  // shows no pairs
  const std::vector<CoActivation> layers = CoActivationPerLayer(b.traffic(), PhaseFilter::kAll);
  ASSERT_EQ(layers.size(), 1u);
  // Every expert is chosen twice: 4 pairs over 6 possible ones, 2/3 expected of each; two pairs are
  // seen twice.
  EXPECT_DOUBLE_EQ(layers[0].pairs, 4);
  EXPECT_DOUBLE_EQ(layers[0].lift, 2 * (2 * 1 / (2.0 / 3)) / 4);
  EXPECT_DOUBLE_EQ(layers[0].top_share, 0.5);
  EXPECT_NEAR(layers[0].top_share_chance, 1.0 / 6, 1e-12);
}

TEST(TokenPatternsTest, IndependentChoicesHaveALiftOfOne) {
  constexpr int kExperts = 32;
  TrafficBuilder b(1, kExperts, 2);
  Rng rng(1);
  std::vector<std::vector<uint16_t>> tokens;
  for (int t = 0; t < 4000; ++t) {
    const auto first = static_cast<uint16_t>(rng.Below(kExperts));
    const auto second = static_cast<uint16_t>((first + 1 + rng.Below(kExperts - 1)) % kExperts);
    tokens.push_back({first, second});
  }
  b.Add("a", "code", 0, tokens);
  EXPECT_NEAR(CoActivationPerLayer(b.traffic(), PhaseFilter::kAll)[0].lift, 1, 0.02);
}

TEST(TokenPatternsTest, OneExpertPerTokenHasNoPairs) {
  TrafficBuilder b(1, 4, 1);
  b.Add("a", "code", 0, {{0}, {1}});
  const CoActivation pairs = CoActivationPerLayer(b.traffic(), PhaseFilter::kAll)[0];
  EXPECT_EQ(pairs.pairs, 0);
  EXPECT_EQ(pairs.lift, 1);
}

TEST(TokenPatternsTest, DistinctExpertsOfABatch) {
  TrafficBuilder b(2, 4, 1);
  b.Add("a", "code", 0, {{0, 2}});
  b.Add("b", "math", 0, {{1, 2}});
  EXPECT_DOUBLE_EQ(DistinctExperts(b.traffic(), PhaseFilter::kAll, 1, 100, 1), 1);
  // Two tokens: layer 0 touches 2 experts with probability 1/2, else 1; layer 1 always 1.
  EXPECT_NEAR(DistinctExperts(b.traffic(), PhaseFilter::kAll, 2, 4000, 1), 1.25, 0.02);
  EXPECT_DOUBLE_EQ(DistinctExperts(OnlyDomain(b.traffic(), "math"), PhaseFilter::kAll, 8, 10, 1),
                   1);
  EXPECT_EQ(DistinctExperts(b.traffic(), PhaseFilter::kPrefill, 2, 10, 1), 0);  // no prompt tokens
}

}  // namespace
}  // namespace advisor
