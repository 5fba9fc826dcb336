#include "core/solver/swap_leveling.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::SmallModel;

std::vector<double> Loads(const Topology& topology, const std::vector<double>& share,
                          absl::Span<const int16_t> row) {
  std::vector<double> load(topology.gpu_count(), 0);
  for (int s = 0; s < topology.slot_count(); ++s) {
    load[topology.gpu_of(SlotId(s)).value()] += row[s] == kEmptySlot ? 0 : share[row[s]];
  }
  return load;
}

double Largest(const std::vector<double>& load) {
  return *std::max_element(load.begin(), load.end());
}

TEST(LevelBySwapsTest, LeavesNoSwapThatLowersTheLargestLoad) {
  const ModelSpec model = SmallModel(1, 20, 2);
  const Topology topology = *Topology::Create({{"a", 2, 5, ""}, {"b", 3, 4, ""}, {"c", 1, 6, ""}});
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    std::vector<double> share;
    for (int e = 0; e < 20; ++e) {
      share.push_back(1 + 9 * rng.Uniform());
    }
    Placement placement = RandomPlacement(model, topology, &rng);
    absl::Span<int16_t> row = placement.row(LayerId(0));
    std::vector<int16_t> before(row.begin(), row.end());
    const double largest_before = Largest(Loads(topology, share, row));
    LevelBySwaps(topology, share, 0, row);
    EXPECT_TRUE(ValidatePlacement(model, topology, placement, {}).ok());
    const double largest = Largest(Loads(topology, share, row));
    EXPECT_LE(largest, largest_before);
    std::vector<int16_t> after(row.begin(), row.end());
    std::sort(before.begin(), before.end());
    std::sort(after.begin(), after.end());
    EXPECT_EQ(before, after);  // swaps alone
    for (int i = 0; i < topology.slot_count(); ++i) {
      for (int j = 0; j < i; ++j) {
        std::swap(row[i], row[j]);
        if (ValidatePlacement(model, topology, placement, {}).ok()) {
          EXPECT_GE(Largest(Loads(topology, share, row)), largest * (1 - 1e-9));
        }
        std::swap(row[i], row[j]);
      }
    }
  }
}

TEST(LevelBySwapsTest, StopsAtTheLimit) {
  const Topology topology = *Topology::Uniform(1, 2, 2);
  std::vector<int16_t> row = {0, 1, 2, 3};
  LevelBySwaps(topology, {4, 3, 2, 1}, 7, absl::MakeSpan(row));
  EXPECT_EQ(row, (std::vector<int16_t>{0, 1, 2, 3}));
  LevelBySwaps(topology, {4, 3, 2, 1}, 5, absl::MakeSpan(row));
  EXPECT_EQ(Largest(Loads(topology, {4, 3, 2, 1}, row)), 5);
}

}  // namespace
}  // namespace advisor
