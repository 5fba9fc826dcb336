#include "core/solver/local_optimum.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/base/rng.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

// Every choice of what each node holds is tried.
double BruteForce(const std::vector<double>& demand, const std::vector<int>& capacity,
                  int experts) {
  const int nodes = static_cast<int>(capacity.size());
  double best = -1;
  std::vector<int> held(nodes, 0);  // masks
  const auto try_all = [&](auto&& self, int n) -> void {
    if (n == nodes) {
      if (std::accumulate(held.begin(), held.end(), 0, [](int a, int b) { return a | b; }) !=
          (1 << experts) - 1) {
        return;
      }
      double served = 0;
      for (int m = 0; m < nodes; ++m) {
        for (int e = 0; e < experts; ++e) {
          served += held[m] >> e & 1 ? demand[m * experts + e] : 0;
        }
      }
      best = std::max(best, served);
      return;
    }
    for (held[n] = 0; held[n] < 1 << experts; ++held[n]) {
      if (__builtin_popcount(held[n]) <= capacity[n]) {
        self(self, n + 1);
      }
    }
    held[n] = 0;
  };
  try_all(try_all, 0);
  return best;
}

TEST(MostServedAtHomeTest, IsTheOptimum) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int nodes = 1 + static_cast<int>(rng.Below(3));
    const int experts = 2 + static_cast<int>(rng.Below(4));
    std::vector<int> capacity(nodes, 0);
    int room = 0;
    while (room < experts || rng.Below(2) == 0) {
      ++capacity[rng.Below(nodes)];
      ++room;
    }
    std::vector<double> demand;
    const uint32_t spread = rng.Below(2) == 0 ? 4 : 1000;  // small: many ties
    for (int i = 0; i < nodes * experts; ++i) {
      demand.push_back(rng.Below(spread));
    }
    EXPECT_NEAR(MostServedAtHome(demand, capacity, experts), BruteForce(demand, capacity, experts),
                1e-9);
  }
}

// Node 0 wants experts 0 and 1 more than anyone does, yet has one place: a chain of exchanges.
TEST(MostServedAtHomeTest, ExchangesAlongChains) {
  const std::vector<double> demand = {9, 8, 0, /*node 1:*/ 0, 7, 6, /*node 2:*/ 0, 0, 1};
  EXPECT_EQ(MostServedAtHome(demand, {1, 1, 1}, 3), 9 + 7 + 1);
}

}  // namespace
}  // namespace advisor
