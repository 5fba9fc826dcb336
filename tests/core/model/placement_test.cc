#include "core/model/placement.h"

#include <algorithm>
#include <vector>

#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ModelSpec SmallModel(int experts) {
  ModelSpec m;
  m.moe_layers = 1;
  m.experts = experts;
  m.top_k = 1;
  return m;
}

Placement OneLayer(std::vector<int16_t> row) {
  Placement p(1, static_cast<int>(row.size()));
  std::copy(row.begin(), row.end(), p.row(LayerId(0)).begin());
  return p;
}

TEST(LinearPlacementTest, SpreadsExpertsOverAllSlots) {
  ASSERT_OK_AND_ASSIGN(Topology t, Topology::Uniform(2, 1, 3));
  // Four experts in six slots: floor(e * 6 / 4) = 0, 1, 3, 4.
  EXPECT_THAT(LinearPlacement(SmallModel(4), t).cells(), ElementsAre(0, 1, -1, 2, 3, -1));
}

TEST(ValidatePlacementTest, FindsEveryBrokenRule) {
  ASSERT_OK_AND_ASSIGN(Topology t, Topology::Uniform(2, 1, 2));
  const ModelSpec m = SmallModel(3);
  EXPECT_THAT(ValidatePlacement(m, t, OneLayer({0, 1, 2, 0}), {}), IsOk());
  EXPECT_THAT(ValidatePlacement(m, t, OneLayer({0, 1, 2}), {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("[1, 3], must be [layers, slots] = [1, 4]")));
  EXPECT_THAT(
      ValidatePlacement(m, t, OneLayer({0, 1, 3, 2}), {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("slot 2: expert 3, must be -1 .. 2")));
  EXPECT_THAT(ValidatePlacement(m, t, OneLayer({0, 1, 1, -1}), {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no copy of expert 2")));
  EXPECT_THAT(
      ValidatePlacement(m, t, OneLayer({0, 1, 2, 2}), {}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("two copies of expert 2 on GPU 1")));
  RemoteChoice choice(1, 2, 3);
  choice.row(LayerId(0), NodeId(0))[2] = 0;
  EXPECT_THAT(ValidatePlacement(m, t, OneLayer({0, 1, 2, -1}), choice),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("expert 2 to node 0, which holds no copy")));
}

TEST(ServeTableTest, HomeFirstThenChoiceThenRing) {
  ASSERT_OK_AND_ASSIGN(Topology t, Topology::Uniform(3, 1, 2));
  const ModelSpec m = SmallModel(3);
  RemoteChoice choice(1, 3, 3);
  choice.row(LayerId(0), NodeId(2))[0] = 1;
  const Placement p = OneLayer({0, 1, 0, -1, 2, -1});  // expert 0 on nodes 0 and 1
  ASSERT_THAT(ValidatePlacement(m, t, p, choice), IsOk());
  const ServeTable serve(m, t, p, choice);
  EXPECT_EQ(serve.Serves(0, 1, 0), 1);  // held at home
  EXPECT_EQ(serve.Serves(0, 2, 0), 1);  // chosen, although ring order would say node 0
  EXPECT_EQ(serve.Serves(0, 1, 1), 0);  // ring: 2 holds none, then 0
  EXPECT_EQ(serve.Holders(0, 0), 0b011u);
}

TEST(MovedSlotsTest, CountsOnlyWhatTheGpuLacked) {
  ASSERT_OK_AND_ASSIGN(Topology t, Topology::Uniform(2, 1, 2));
  EXPECT_EQ(MovedSlots(t, OneLayer({0, 1, 2, -1}), OneLayer({1, 0, 2, -1})),
            0);  // only permuted inside a GPU
  EXPECT_EQ(MovedSlots(t, OneLayer({0, 1, 2, -1}), OneLayer({0, 2, 1, -1})), 2);
}

}  // namespace
}  // namespace advisor
