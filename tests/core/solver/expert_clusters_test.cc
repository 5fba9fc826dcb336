#include "core/solver/expert_clusters.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;
using ::testing::ElementsAre;

TEST(CoactivationTest, CountsPairsAndLoads) {
  Rng rng(3);
  const ModelSpec model = SmallModel(2, 6, 3);
  Traffic traffic = RandomTraffic(model, 8, 2, &rng);
  const TokenPool pool = MakeTokenPool(traffic, {}, {PhaseFilter::kDecode});
  const Coactivation got = CoactivationOf(pool, 1);
  std::vector<double> together(36, 0), load(6, 0);
  for (const PooledToken& token : pool.tokens) {
    const std::set<int> ids(token.experts + 3, token.experts + 6);
    for (int a : ids) {
      load[a] += token.weight;
      for (int b : ids) {
        together[a * 6 + b] += a == b ? 0 : token.weight;
      }
    }
  }
  EXPECT_EQ(got.together, together);
  EXPECT_EQ(got.load, load);
  for (Request& r : traffic.requests) {
    r = SumsOf(model, r);
  }
  const Coactivation sums = CoactivationOf(MakeTokenPool(traffic, {}, {PhaseFilter::kDecode}), 1);
  EXPECT_EQ(std::accumulate(sums.together.begin(), sums.together.end(), 0.0), 0);
  EXPECT_GT(*std::min_element(sums.load.begin(), sums.load.end()), 0);
}

TEST(FirstCopiesTest, FollowTheSlots) {
  EXPECT_THAT(FirstCopies(*Topology::Uniform(3, 1, 4), 10), ElementsAre(4, 3, 3));
  EXPECT_THAT(
      FirstCopies(*Topology::Create({{"a", 1, 1, ""}, {"b", 2, 4, ""}, {"c", 1, 3, ""}}), 12),
      ElementsAre(1, 8, 3));
  EXPECT_THAT(
      FirstCopies(*Topology::Create({{"a", 1, 1, ""}, {"b", 2, 4, ""}, {"c", 1, 3, ""}}), 6),
      ElementsAre(1, 4, 1));
}

double InsideClusters(const Coactivation& layer, const std::vector<int>& of) {
  double sum = 0;
  for (int a = 0; a < layer.experts; ++a) {
    for (int b = 0; b < layer.experts; ++b) {
      sum += of[a] == of[b] ? layer.together[a * layer.experts + b] : 0;
    }
  }
  return sum;
}

Coactivation RandomLayer(int experts, Rng* rng) {
  Coactivation layer;
  layer.experts = experts;
  layer.together.assign(experts * experts, 0);
  layer.load.assign(experts, 0);
  for (int a = 0; a < experts; ++a) {
    for (int b = 0; b < a; ++b) {
      const double weight = rng->Below(100);
      layer.together[a * experts + b] = layer.together[b * experts + a] = weight;
      layer.load[a] += weight;
      layer.load[b] += weight;
    }
  }
  return layer;
}

// Eight experts on two nodes of four: all seventy clusterings are tried.
TEST(ClusterExpertsTest, IsCloseToTheBestClustering) {
  Rng rng(4);
  const Topology topology = *Topology::Uniform(2, 1, 4);
  double ratio = 0;
  for (int round = 0; round < 50; ++round) {
    const Coactivation layer = RandomLayer(8, &rng);
    double best = 0;
    for (int mask = 0; mask < 256; ++mask) {
      std::vector<int> of;
      for (int e = 0; e < 8; ++e) {
        of.push_back(mask >> e & 1);
      }
      best = __builtin_popcount(mask) == 4 ? std::max(best, InsideClusters(layer, of)) : best;
    }
    const std::vector<int> of = ClusterExperts(layer, topology, {4, 4}, 100);
    EXPECT_EQ(std::count(of.begin(), of.end(), 0), 4);
    EXPECT_LE(InsideClusters(layer, of), best + 1e-9);
    ratio += InsideClusters(layer, of) / best / 50;
  }
  EXPECT_GE(ratio, 0.98);
}

TEST(ClusterExpertsTest, FindsBlocks) {
  Coactivation layer;
  layer.experts = 12;
  layer.load.assign(12, 1);
  layer.together.assign(144, 0.1);
  for (int a = 0; a < 12; ++a) {
    for (int b = 0; b < 12; ++b) {
      layer.together[a * 12 + b] += a % 3 == b % 3 ? 1 : 0;
    }
    layer.together[a * 12 + a] = 0;
  }
  const std::vector<int> of = ClusterExperts(layer, *Topology::Uniform(3, 2, 2), {4, 4, 4}, 1.1);
  for (int a = 0; a < 12; ++a) {
    EXPECT_EQ(of[a], of[a % 3]);
  }
}

TEST(ClusterExpertsTest, KeepsTheLoadRule) {
  Rng rng(5);
  const Topology topology = *Topology::Create({{"a", 2, 4, ""}, {"b", 1, 8, ""}, {"c", 3, 3, ""}});
  const std::vector<int> sizes = FirstCopies(topology, 24);
  for (int round = 0; round < 20; ++round) {
    const Coactivation layer = RandomLayer(24, &rng);
    const std::vector<int> of = ClusterExperts(layer, topology, sizes, 1.6);
    const double mean = std::accumulate(layer.load.begin(), layer.load.end(), 0.0) / 6;
    for (int n = 0; n < 3; ++n) {
      double load = 0;
      for (int e = 0; e < 24; ++e) {
        load += of[e] == n ? layer.load[e] : 0;
      }
      EXPECT_EQ(std::count(of.begin(), of.end(), n), sizes[n]);
      // Node b has a sixth of the GPUs and a third of the slots: more than the cap cannot be had.
      EXPECT_LE(load / topology.gpus_on(NodeId(n)) / mean, n == 1 ? 2.0 : 1.6);
    }
  }
}

}  // namespace
}  // namespace advisor
