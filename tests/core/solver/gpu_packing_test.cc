#include "core/solver/gpu_packing.h"

#include <algorithm>
#include <numeric>

#include "core/base/rng.h"
#include "core/model/placement.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::SmallModel;

std::vector<double> GpuLoads(const Topology& topology, absl::Span<const int16_t> row,
                             absl::Span<const double> load, int experts) {
  std::vector<double> out(topology.gpu_count(), 0);
  for (int s = 0; s < topology.slot_count(); ++s) {
    if (row[s] != kEmptySlot) {
      out[topology.gpu_of(SlotId(s)).value()] +=
          load[topology.node_of(SlotId(s)).value() * experts + row[s]];
    }
  }
  return out;
}

TEST(PackGpusTest, EveryHolderGetsOneCopy) {
  Rng rng(5);
  const Topology topology = *Topology::Create({{"a", 2, 4, ""}, {"b", 3, 2, ""}});
  for (int round = 0; round < 50; ++round) {
    std::vector<uint64_t> holders(6);
    std::vector<double> load;
    for (uint64_t& h : holders) {
      h = 1 + rng.Below(3);
    }
    for (int i = 0; i < 12; ++i) {
      load.push_back(rng.Uniform());
    }
    const std::vector<int16_t> row = PackGpus(topology, holders, load);
    for (int n = 0; n < 2; ++n) {
      for (int e = 0; e < 6; ++e) {
        int copies = 0;
        for (int s = 0; s < topology.slot_count(); ++s) {
          copies += topology.node_of(SlotId(s)).value() == n && row[s] == e;
        }
        EXPECT_EQ(copies, static_cast<int>(holders[e] >> n & 1));
      }
    }
  }
}

// Six experts on two GPUs of three slots: all twenty packings are tried.
TEST(PackGpusTest, IsCloseToTheBestPacking) {
  Rng rng(8);
  const Topology topology = *Topology::Uniform(1, 2, 3);
  double sum_ratio = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<double> load;
    for (int e = 0; e < 6; ++e) {
      load.push_back(std::exp(rng.Normal()));
    }
    const double total = std::accumulate(load.begin(), load.end(), 0.0);
    double best = total;
    for (int mask = 0; mask < 64; ++mask) {
      if (__builtin_popcount(mask) == 3) {
        double one = 0;
        for (int e = 0; e < 6; ++e) {
          one += mask >> e & 1 ? load[e] : 0;
        }
        best = std::min(best, std::max(one, total - one));
      }
    }
    const std::vector<int16_t> row = PackGpus(topology, std::vector<uint64_t>(6, 1), load);
    const std::vector<double> gpu = GpuLoads(topology, row, load, 6);
    const double got = std::max(gpu[0], gpu[1]);
    EXPECT_GE(got, best * (1 - 1e-9));
    EXPECT_LE(got, best * 1.2);
    sum_ratio += got / best;
  }
  EXPECT_LE(sum_ratio / 100, 1.01);
}

TEST(ServedInRingOrderTest, AgreesWithTheServeTable) {
  Rng rng(2);
  const ModelSpec model = SmallModel(1, 7, 2);
  const Topology topology = *Topology::Uniform(3, 2, 2);
  const Placement placement = testing::RandomPlacement(model, topology, &rng);
  const ServeTable serve(model, topology, placement, {});
  std::vector<uint64_t> holders;
  for (int e = 0; e < 7; ++e) {
    holders.push_back(serve.Holders(0, e));
  }
  std::vector<double> demand, want(21, 0);
  for (int h = 0; h < 3; ++h) {
    for (int e = 0; e < 7; ++e) {
      demand.push_back(rng.Below(100));
      want[serve.Serves(0, h, e) * 7 + e] += demand.back();
    }
  }
  EXPECT_EQ(ServedInRingOrder(holders, demand, 3), want);
}

}  // namespace
}  // namespace advisor
