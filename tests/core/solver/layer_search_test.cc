#include "core/solver/layer_search.h"

#include <vector>

#include "core/solver/layer_start.h"
#include "core/solver/layer_traffic.h"
#include "core/solver/token_pool.h"
#include "gtest/gtest.h"
#include "tests/support/halves.h"

namespace advisor {
namespace {

using ::advisor::testing::Halves;
using ::advisor::testing::PresetHalves;

// A layer of 256 experts on 288 slots: 74,000 pairs of slot and expert.
class LargeLayerTest : public ::testing::Test {
 protected:
  LargeLayerTest() {
    pool_ = MakeTokenPool(halves_.train, {}, {});
    std::vector<NodeId> homes;
    for (size_t r = 0; r < pool_.requests.size(); ++r) {
      homes.push_back(NodeId(static_cast<int>(r % 8)));
    }
    traffic_ = GatherLayer(pool_, 0, homes, 8);
  }

  // Cost found with less than one proposal for every pair, mean of a few seeds.
  double Search(int candidates) {
    constexpr int kSeeds = 4;
    const AnnealSchedule schedule{0.002, 0.0001, 0.3, 20, candidates, 50'000};
    double sum = 0;
    for (int seed = 0; seed < kSeeds; ++seed) {
      LayerState state(traffic_, topology_, {});
      state.Reset(StartByDemand(traffic_, topology_), {});
      Anneal(state, schedule, Rng(seed), nullptr);
      sum += state.Cost();
    }
    return sum / kSeeds;
  }

  const Halves halves_ = PresetHalves("deepseek-v3", 1, 320, 60);
  const Topology topology_ = *Topology::Uniform(8, 4, 9);
  TokenPool pool_;
  LayerTraffic traffic_;
};

TEST_F(LargeLayerTest, CandidatesSaveMoreWithAsMuchWork) { EXPECT_LT(Search(8), 0.99 * Search(1)); }

}  // namespace
}  // namespace advisor
