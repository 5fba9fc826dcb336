#include "core/solver/gpu_leveling.h"

#include <algorithm>
#include <vector>

#include "core/base/rng.h"
#include "core/solver/layer_start.h"
#include "core/solver/layer_traffic.h"
#include "core/solver/token_pool.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

struct Fixture {
  Traffic traffic;
  Topology topology;
  LayerTraffic layer;
};

Fixture MakeFixture(uint64_t seed, PhaseFilter phase) {
  Rng rng(seed);
  Fixture f;
  f.traffic = RandomTraffic(SmallModel(1, 12, 3), 20, 3, &rng);
  f.topology = *Topology::Create({{"a", 2, 3, ""}, {"b", 1, 5, ""}, {"c", 3, 2, ""}});
  TokenPoolOptions options;
  options.phase = phase;
  const TokenPool pool = MakeTokenPool(f.traffic, {}, options);
  std::vector<NodeId> homes;
  for (size_t r = 0; r < pool.requests.size(); ++r) {
    homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
  }
  f.layer = GatherLayer(pool, 0, homes, 3);
  return f;
}

int64_t LargestLoad(const LayerState& state, int set, int node) {
  int64_t largest = 0;
  const int first = state.topology().first_gpu(NodeId(node)).value();
  for (int g = 0; g < state.topology().gpus_on(NodeId(node)); ++g) {
    largest = std::max(largest, state.gpu_load(set, first + g));
  }
  return largest;
}

LayerState StateOf(const Fixture& f, absl::Span<const int16_t> row) {
  LayerState state(f.layer, f.topology, {});
  state.Reset(row, {});
  return state;
}

TEST(GpuLevelingTest, LowersGpuLoadsAndChangesNothingElse) {
  int lowered = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (PhaseFilter phase : {PhaseFilter::kDecode, PhaseFilter::kAll}) {
      const Fixture f = MakeFixture(seed, phase);
      std::vector<int16_t> row = StartByDemand(f.layer, f.topology);
      std::sort(row.begin(), row.begin() + 6);  // of node a: any order but a packed one
      const LayerState before = StateOf(f, row);
      const LayerState after = StateOf(f, LevelGpus(before));
      EXPECT_EQ(after.visits(), before.visits());
      for (int e = 0; e < f.layer.experts; ++e) {
        EXPECT_EQ(after.holders(e), before.holders(e));
        EXPECT_EQ(after.copies(e), before.copies(e));
      }
      for (int set = 0; set < f.layer.load_sets; ++set) {
        for (int n = 0; n < f.layer.nodes; ++n) {
          EXPECT_EQ(after.node_load(set, n), before.node_load(set, n));
          EXPECT_LE(LargestLoad(after, set, n), LargestLoad(before, set, n));
          lowered += LargestLoad(after, set, n) < LargestLoad(before, set, n);
        }
      }
    }
  }
  EXPECT_GT(lowered, 10);
}

TEST(GpuLevelingTest, KeepsANodeThatHoldsAnExpertTwice) {
  const Fixture f = MakeFixture(1, PhaseFilter::kDecode);
  // Expert 0 on both GPUs of node a; b and c hold the rest.
  const std::vector<int16_t> row = {0, 1, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1, -1, -1, -1};
  const std::vector<int16_t> leveled = LevelGpus(StateOf(f, row));
  EXPECT_TRUE(std::equal(row.begin(), row.begin() + 6, leveled.begin()));
}

}  // namespace
}  // namespace advisor
