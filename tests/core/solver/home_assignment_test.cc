#include "core/solver/home_assignment.h"

#include <algorithm>
#include <vector>

#include "core/base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;

// Demand by node, over its share, when every item goes where cost + bias is least.
std::vector<double> LoadOverShare(const std::vector<double>& cost, const std::vector<double>& bias,
                                  const std::vector<double>& share) {
  const size_t nodes = share.size(), items = cost.size() / nodes;
  std::vector<double> load(nodes, 0);
  for (size_t i = 0; i < items; ++i) {
    size_t best = 0;
    for (size_t n = 1; n < nodes; ++n) {
      best = cost[i * nodes + n] + bias[n] < cost[i * nodes + best] + bias[best] ? n : best;
    }
    load[best] += 1 / (double(items) * share[best]);
  }
  return load;
}

TEST(BalancingBiasTest, EvensOutWhatEveryItemPrefers) {
  Rng rng(3);
  const std::vector<double> share = {0.4, 0.2, 0.3, 0.1}, worth = {5, 1, 0, -3};
  std::vector<double> cost;
  for (int i = 0; i < 2000; ++i) {
    for (double w : worth) {
      cost.push_back(rng.Uniform() - w);
    }
  }
  const std::vector<double> demand(2000, 1);
  const std::vector<double> bias = BalancingBias(cost, demand, share, 0.1);
  EXPECT_THAT(LoadOverShare(cost, bias, share), Each(DoubleNear(1, 0.1)));
}

TEST(BalancingBiasTest, LeavesAloneWhatIsEvenEnough) {
  const std::vector<double> cost = {0, 1, 0, 1, 0, 1, 1, 0, 1, 0};  // three of five to the first
  const std::vector<double> demand(5, 2);
  EXPECT_THAT(BalancingBias(cost, demand, {{0.5, 0.5}}, 0.2), Each(0));
  const std::vector<double> nothing(5, 0);
  EXPECT_THAT(BalancingBias(cost, nothing, {{0.5, 0.5}}, 0.0), Each(0));
}

TEST(AssignBalancedTest, FindsTheBestOfAllHomesThatFit) {
  Rng rng(5);
  constexpr int kItems = 6, kNodes = 2;
  for (int round = 0; round < 50; ++round) {
    std::vector<double> cost;
    for (int i = 0; i < kItems * kNodes; ++i) {
      cost.push_back(rng.Below(20));
    }
    double best = 1e9;
    for (int homes = 0; homes < 1 << kItems; ++homes) {
      double sum = 0;
      int second = 0;
      for (int i = 0; i < kItems; ++i) {
        sum += cost[i * kNodes + (homes >> i & 1)];
        second += homes >> i & 1;
      }
      best = second == kItems / 2 ? std::min(best, sum) : best;
    }
    const std::vector<NodeId> homes =
        AssignBalanced(cost, std::vector<double>(kItems, 1), {{0.5, 0.5}}, 0);
    double sum = 0;
    for (int i = 0; i < kItems; ++i) {
      sum += cost[i * kNodes + homes[i].value()];
    }
    EXPECT_EQ(sum, best);
  }
}

}  // namespace
}  // namespace advisor
