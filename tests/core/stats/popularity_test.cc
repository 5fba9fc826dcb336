#include "core/stats/popularity.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/traffic_builder.h"

namespace advisor {
namespace {

using ::advisor::testing::TrafficBuilder;
using ::testing::DoubleEq;
using ::testing::DoubleNear;
using ::testing::ElementsAre;

TEST(PopularityTest, MaxOverMean) {
  EXPECT_DOUBLE_EQ(MaxOverMean({1, 2, 3, 6}), 2);
  EXPECT_DOUBLE_EQ(MaxOverMean({5, 5}), 1);
  EXPECT_DOUBLE_EQ(MaxOverMean({0, 0}), 0);
}

TEST(PopularityTest, GiniIsZeroWhenEqualAndNearOneWhenOneHoldsAll) {
  EXPECT_DOUBLE_EQ(Gini({4, 4, 4}), 0);
  EXPECT_DOUBLE_EQ(Gini({0, 0, 0, 8}), 0.75);
  // Mean difference over all ordered pairs, |1 - 3| x 2 of 4 pairs = 1, over twice the mean, 4.
  EXPECT_DOUBLE_EQ(Gini({3, 1}), 0.25);
  EXPECT_DOUBLE_EQ(Gini({0, 0}), 0);
}

TEST(PopularityTest, TopShareTakesTheLargest) {
  EXPECT_DOUBLE_EQ(TopShare({1, 4, 2, 3}, 2), 0.7);
  EXPECT_DOUBLE_EQ(TopShare({1, 4, 2, 3}, 9), 1);
  EXPECT_DOUBLE_EQ(TopShare({1, 4, 2, 3}, 0), 0);
  EXPECT_DOUBLE_EQ(TopShare({0, 0}, 1), 0);
}

TEST(PopularityTest, CosineAndCorrelation) {
  EXPECT_DOUBLE_EQ(Cosine({1, 0}, {1, 1}), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(Cosine({2, 1}, {4, 2}), 1);
  EXPECT_DOUBLE_EQ(Cosine({0, 0}, {1, 1}), 0);
  EXPECT_DOUBLE_EQ(Correlation({1, 2, 3}, {12, 14, 16}), 1);
  EXPECT_DOUBLE_EQ(Correlation({1, 2, 3}, {3, 2, 1}), -1);
  // Deviations (-1, 0, 1) and (-1, 1, 0): product 1, norms sqrt 2 each.
  EXPECT_DOUBLE_EQ(Correlation({1, 2, 3}, {1, 3, 2}), 0.5);
  EXPECT_DOUBLE_EQ(Correlation({2, 2, 2}, {1, 3, 2}), 0);
}

TEST(PopularityTest, CountsByPhaseAndWeight) {
  TrafficBuilder b(2, 3, 1);
  b.Add("a", "code", 1, {{0, 1}, {0, 2}, {1, 2}}).weight = 2;
  b.AddCounts("b", "code", 4, {4, 0, 0, 1, 1, 2});
  const ExpertCounts all = CountExperts(b.traffic(), PhaseFilter::kAll);
  EXPECT_THAT(all.row(0), ElementsAre(2 * 2 + 4, 2, 0));
  EXPECT_THAT(all.row(1), ElementsAre(1, 2 * 1 + 1, 2 * 2 + 2));
  // Sums do not say which phase they are from, so they are left out of one phase's counts.
  EXPECT_THAT(CountExperts(b.traffic(), PhaseFilter::kPrefill).row(0), ElementsAre(2, 0, 0));
  EXPECT_THAT(CountExperts(b.traffic(), PhaseFilter::kDecode).row(0), ElementsAre(2, 2, 0));
}

TEST(PopularityTest, ImbalanceIsPerLayer) {
  TrafficBuilder b(2, 2, 1);
  b.Add("a", "code", 0, {{0, 0}, {0, 1}, {0, 0}, {0, 1}});
  const std::vector<Imbalance> layers =
      ImbalancePerLayer(CountExperts(b.traffic(), PhaseFilter::kAll));
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_DOUBLE_EQ(layers[0].max_over_mean, 2);
  EXPECT_DOUBLE_EQ(layers[0].gini, 0.5);
  EXPECT_DOUBLE_EQ(layers[1].max_over_mean, 1);
  EXPECT_DOUBLE_EQ(layers[1].gini, 0);
}

TEST(PopularityTest, DomainsAreComparedLayerByLayer) {
  TrafficBuilder b(2, 2, 1);
  b.Add("m0", "math", 0, {{0, 0}, {0, 1}});  // layer 0: (2, 0), layer 1: (1, 1)
  b.Add("c0", "code", 0, {{1, 0}});          // layer 0: (0, 1), layer 1: (1, 0)
  b.Add("c1", "code", 0, {{1, 1}});          // with c0 layer 0: (0, 2), layer 1: (1, 1)
  b.Add("l0", "law", 0, {{0, 0}, {1, 0}});   // layer 0: (1, 1), layer 1: (2, 0)
  const std::vector<DomainExpertCounts> domains =
      CountExpertsByDomain(b.traffic(), PhaseFilter::kAll);
  ASSERT_EQ(domains.size(), 3u);
  EXPECT_EQ(domains[0].domain, "code");
  EXPECT_EQ(domains[2].domain, "math");
  const std::vector<DomainPair> pairs = DomainSimilarity(domains);
  ASSERT_EQ(pairs.size(), 3u);
  const double half = std::sqrt(0.5);
  EXPECT_THAT(pairs[0].per_layer, ElementsAre(DoubleEq(half), DoubleEq(half)));  // code, law
  EXPECT_THAT(pairs[1].per_layer, ElementsAre(DoubleEq(0), DoubleEq(1)));        // code, math
  EXPECT_DOUBLE_EQ(pairs[1].cosine, 0.5);
  EXPECT_EQ(pairs[2].a, 1);
  EXPECT_EQ(pairs[2].b, 2);
}

TEST(PopularityTest, HalvesOfADomain) {
  TrafficBuilder b(1, 2, 1);
  b.Add("a0", "alike", 0, {{0}, {1}});
  b.Add("a1", "alike", 0, {{1}, {0}});
  b.Add("o0", "other", 0, {{0}});
  b.Add("o1", "other", 0, {{1}});
  b.Add("s0", "single", 0, {{1}});
  const std::vector<DomainHalves> halves =
      WithinDomainSimilarity(b.traffic(), PhaseFilter::kAll, 1);
  ASSERT_EQ(halves.size(), 2u);  // one request has no halves
  EXPECT_EQ(halves[0].domain, "alike");
  EXPECT_DOUBLE_EQ(halves[0].cosine, 1);
  EXPECT_EQ(halves[1].domain, "other");
  EXPECT_DOUBLE_EQ(halves[1].cosine, 0);
}

TEST(PopularityTest, NearestDomainLeavesTheRequestItselfOut) {
  TrafficBuilder b(1, 2, 1);
  b.Add("a0", "a", 0, {{0}});
  b.Add("a1", "a", 0, {{0}});
  b.Add("b0", "b", 0, {{1}});
  EXPECT_NEAR(NearestDomainAccuracy(b.traffic(), PhaseFilter::kAll), 2.0 / 3, 1e-12);
}

TEST(PopularityTest, PhaseCorrelationPerDomain) {
  TrafficBuilder b(1, 3, 1);
  // Prefill (2, 1, 0), decode (1, 2, 0): deviations (1, 0, -1) and (0, 1, -1), correlation 1 / 2.
  b.Add("c", "code", 3, {{0}, {0}, {1}, {0}, {1}, {1}});
  b.Add("m", "math", 1, {{2}, {2}});
  const std::vector<PhaseCorrelation> correlations = PhaseCorrelationByDomain(b.traffic());
  ASSERT_EQ(correlations.size(), 2u);
  EXPECT_THAT(correlations[0].per_layer, ElementsAre(DoubleNear(0.5, 1e-12)));
  EXPECT_EQ(correlations[1].domain, "math");
  EXPECT_DOUBLE_EQ(correlations[1].correlation, 1);
}

}  // namespace
}  // namespace advisor
