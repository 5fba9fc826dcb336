#include "core/solver/request_groups.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

// Decode of a traffic's requests, by id, and the groups over it.
struct Grouped {
  Grouped(const Traffic& traffic, std::vector<double> share)
      : pool(MakeTokenPool(traffic, {}, {PhaseFilter::kDecode})),
        signatures(MakeSignatures(pool, {0, 1})),
        groups(signatures, pool.demand, std::move(share), parallel) {}

  InlineParallelFor parallel;
  TokenPool pool;
  Signatures signatures;
  RequestGroups groups;
};

Traffic ThreeTastes() {
  Rng rng(7);
  return RandomTraffic(SmallModel(2, 12, 2), 30, 3, &rng);
}

// With the vectors themselves: every request is in the cluster of the nearest mean.
TEST(RequestGroupsTest, KMeansEndsInAFixedPointOfLloyd) {
  const Traffic traffic = ThreeTastes();
  const Grouped g(traffic, {1});
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    const std::vector<int> of = g.groups.KMeans(4, Rng(seed));
    std::vector<std::vector<double>> mean(4, std::vector<double>(24, 0));
    std::vector<double> size(4, 0);
    for (int c : of) {
      ++size[c];
    }
    for (int i = 0; i < 30; ++i) {
      for (int d = 0; d < 24; ++d) {
        mean[of[i]][d] += g.signatures.Of(i)[d] / size[of[i]];
      }
    }
    const auto distance = [&](int i, int c) {
      double square = 0;
      for (int d = 0; d < 24; ++d) {
        square += std::pow(g.signatures.Of(i)[d] - mean[c][d], 2);
      }
      return square;
    };
    for (int i = 0; i < 30; ++i) {
      for (int c = 0; c < 4; ++c) {
        EXPECT_TRUE(size[c] == 0 || distance(i, of[i]) <= distance(i, c) + 1e-6);
      }
    }
  }
}

TEST(RequestGroupsTest, KMeansFindsTastes) {
  Rng rng(3);
  const ModelSpec model = SmallModel(2, 24, 2);
  Traffic traffic;
  traffic.model = model;
  for (int i = 0; i < 24; ++i) {  // long requests of three tastes
    traffic.requests.push_back(
        testing::RandomRequest(model, absl::StrCat("r", i), 300, 0, i % 3 * 8, &rng));
  }
  const Grouped g(traffic, {1});
  int found = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const std::vector<int> of = g.groups.KMeans(3, Rng(seed));
    std::map<int, std::set<int>> tastes;
    for (int i = 0; i < 24; ++i) {
      tastes[of[i]].insert(g.pool.source[i] % 3);
    }
    found += tastes.size() == 3 && std::all_of(tastes.begin(), tastes.end(),
                                               [](const auto& t) { return t.second.size() == 1; });
  }
  EXPECT_GE(found, 8);  // k-means++ may start twice in one taste
}

TEST(RequestGroupsTest, HomesKeepToTheNodesShares) {
  const Traffic traffic = ThreeTastes();
  const Grouped g(traffic, {0.75, 0.25});
  for (int clusters : {2, 4, 8}) {
    const std::vector<NodeId> homes = g.groups.Homes(clusters, Rng(2));
    ASSERT_EQ(homes.size(), 30u);
    std::vector<double> load(2, 0);
    for (int i = 0; i < 30; ++i) {
      load[homes[i].value()] += g.pool.demand[i];
    }
    EXPECT_NEAR(load[0] / (load[0] + load[1]), 0.75, 0.05);
  }
}

TEST(RequestGroupsTest, TheOrderOfArrivalDoesNotMatter) {
  const Traffic traffic = ThreeTastes();
  Traffic reversed = traffic;
  std::reverse(reversed.requests.begin(), reversed.requests.end());
  const std::vector<double> share(3, 1.0 / 3);
  EXPECT_EQ(Grouped(traffic, share).groups.Homes(6, Rng(1)),
            Grouped(reversed, share).groups.Homes(6, Rng(1)));
}

TEST(RequestGroupsTest, NothingToGroup) {
  Traffic none;
  none.model = SmallModel(2, 12, 2);
  EXPECT_TRUE(Grouped(none, {0.5, 0.5}).groups.Homes(2, Rng(1)).empty());
  none.requests.push_back(ThreeTastes().requests[0]);
  EXPECT_EQ(Grouped(none, {0.5, 0.5}).groups.Homes(2, Rng(1)).size(), 1u);
}

}  // namespace
}  // namespace advisor
