#include "core/solver/moves.h"

#include <algorithm>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::SmallModel;
using ::testing::ElementsAre;

Placement OneLayer(std::vector<int16_t> row) {
  Placement p(1, static_cast<int>(row.size()));
  std::copy(row.begin(), row.end(), p.cells().begin());
  return p;
}

TEST(MovesBetweenTest, PrefersTheNodeThenTheRackThenTheLowestSlot) {
  // Nodes a and b stand in one rack, c in another; two GPUs of two slots each.
  const Topology t = *Topology::Create({{"c", 2, 2, "r1"}, {"b", 2, 2, "r0"}, {"a", 2, 2, "r0"}});
  const ModelSpec model = SmallModel(1, 8, 1);
  const Placement before = OneLayer({/*c*/ 0, 1, 2, 3, /*b*/ 0, 4, 5, -1, /*a*/ 6, -1, 7, 0});
  const Placement after = OneLayer({/*c*/ 0, 1, 2, 3, /*b*/ 0, 4, 5, 7, /*a*/ 0, 6, 7, 1});
  const std::vector<Move> moves = MovesBetween(model, t, before, after);
  ASSERT_EQ(moves.size(), 3u);
  EXPECT_EQ(moves[0], (Move{0, 7, 7, 10, 1000}));  // the same rack
  EXPECT_EQ(moves[1],
            (Move{0, 8, 0, 11, 1000}));  // the same node, though slots 0 and 4 hold it too
  EXPECT_EQ(moves[2], (Move{0, 11, 1, 1, 1000}));  // anywhere
}

TEST(MovesBetweenTest, CountsWhatMovedSlotsCountsAndLoadsWhatNobodyHeld) {
  Rng rng(4);
  const Topology t = *Topology::Uniform(2, 2, 3);
  const ModelSpec model = SmallModel(3, 8, 2);
  for (int i = 0; i < 20; ++i) {
    const Placement a = RandomPlacement(model, t, &rng), b = RandomPlacement(model, t, &rng);
    EXPECT_EQ(static_cast<int64_t>(MovesBetween(model, t, a, b).size()), MovedSlots(t, a, b));
  }
  const std::vector<Move> loads =
      MovesBetween(model, t, Placement(3, 12), LinearPlacement(model, t));
  ASSERT_EQ(loads.size(), 24u);
  EXPECT_EQ(loads[0].from_slot, -1);
}

TEST(CarryOverTest, KeepsWhatStillHasAPlace) {
  const Topology from = *Topology::Create({{"a", 2, 2, ""}, {"b", 1, 3, ""}});
  const Topology to = *Topology::Create({{"b", 1, 2, ""}, {"new", 1, 1, ""}, {"a", 1, 3, ""}});
  EXPECT_THAT(CarryOver(from, to, OneLayer({0, 1, 2, 3, 4, 5, 6})).cells(),
              ElementsAre(4, 5, -1, 0, 1, -1));
}

}  // namespace
}  // namespace advisor
