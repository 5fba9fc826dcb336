#include "core/solver/local_copies.h"

#include <algorithm>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::testing::ElementsAre;

class LocalCopiesTest : public ::testing::Test {
 protected:
  LocalCopiesTest() {
    Rng rng(9);
    traffic_ = RandomTraffic(SmallModel(1, 6, 2), 12, 2, &rng);
    pool_ = MakeTokenPool(traffic_, {}, {PhaseFilter::kAll});
    for (int i = 0; i < 12; ++i) {
      homes_.push_back(NodeId(i % 2));
    }
  }

  // Visits of node `home`'s tokens that expert e causes, shared with the experts beside it.
  double Credit(int home, int e) const {
    double sum = 0;
    for (const PooledToken& t : pool_.tokens) {
      const int a = t.experts[0], b = t.experts[1];
      if (homes_[t.request].value() == home && (a == e || b == e) && first_node_[e] != home) {
        sum += first_node_[a] == first_node_[b] ? t.weight / 2.0 : t.weight;
      }
    }
    return sum;
  }

  Traffic traffic_;
  TokenPool pool_;
  std::vector<NodeId> homes_;
  const std::vector<int> first_node_ = {0, 0, 0, 1, 1, 1};
};

TEST_F(LocalCopiesTest, WithoutSpareSlotsNothingIsAdded) {
  EXPECT_THAT(
      AddLocalCopies(GatherLayer(pool_, 0, homes_, 2), first_node_, *Topology::Uniform(2, 1, 3), 2),
      ElementsAre(1, 1, 1, 2, 2, 2));
}

TEST_F(LocalCopiesTest, TheFirstCopyIsWhatCausesMostVisits) {
  const std::vector<uint64_t> holders =
      AddLocalCopies(GatherLayer(pool_, 0, homes_, 2), first_node_, *Topology::Uniform(2, 1, 4), 2);
  for (int home : {0, 1}) {
    int added = -1, best = home == 0 ? 3 : 0;
    for (int e = 0; e < 6; ++e) {
      if (first_node_[e] != home) {
        added = holders[e] >> home & 1 ? e : added;
        best = Credit(home, e) > Credit(home, best) ? e : best;
      }
      EXPECT_TRUE(holders[e] >> first_node_[e] & 1);
    }
    EXPECT_EQ(added, best);
  }
}

TEST_F(LocalCopiesTest, EnoughSlotsBringEverythingHome) {
  EXPECT_THAT(
      AddLocalCopies(GatherLayer(pool_, 0, homes_, 2), first_node_, *Topology::Uniform(2, 2, 3), 2),
      ElementsAre(3, 3, 3, 3, 3, 3));
}

TEST_F(LocalCopiesTest, CopiesAreNoReasonToPassTheCap) {
  // Everyone lives on node 0: each copy there adds to its load.
  const std::vector<NodeId> crowded(12, NodeId(0));
  const std::vector<uint64_t> holders = AddLocalCopies(
      GatherLayer(pool_, 0, crowded, 2), first_node_, *Topology::Uniform(2, 1, 6), 1.3);
  double load = 0, total = 0;
  for (int e = 0; e < 6; ++e) {
    for (const PooledToken& t : pool_.tokens) {
      const double weight = t.experts[0] == e || t.experts[1] == e ? t.weight : 0;
      total += weight;
      load += holders[e] & 1 ? weight : 0;
    }
  }
  EXPECT_LE(load, 1.3 * total / 2);
  EXPECT_LT(std::count(holders.begin() + 3, holders.end(), 3u), 3);
}

}  // namespace
}  // namespace advisor
