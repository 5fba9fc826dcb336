#include "core/model/topology.h"

#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;

TEST(TopologyTest, NumbersGpusAndSlotsNodeByNode) {
  ASSERT_OK_AND_ASSIGN(Topology t, Topology::Create({{"a", 2, 3, ""}, {"b", 1, 4, "r1"}}));
  EXPECT_EQ(t.gpu_count(), 3);
  EXPECT_EQ(t.slot_count(), 10);
  EXPECT_EQ(t.gpu_of(SlotId(5)), GpuId(1));
  EXPECT_EQ(t.node_of(SlotId(6)), NodeId(1));
  EXPECT_EQ(t.first_slot(GpuId(2)), SlotId(6));
  EXPECT_EQ(t.first_gpu(NodeId(1)), GpuId(2));
  EXPECT_EQ(t.slots_on(NodeId(0)), 6);
  EXPECT_EQ(t.slots_on(GpuId(2)), 4);
}

TEST(TopologyTest, RefusesWhatCannotBeNumbered) {
  EXPECT_THAT(Topology::Create({}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("0 nodes")));
  EXPECT_THAT(Topology::Create({{"a", 1, 1, ""}, {"a", 1, 1, ""}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("nodes[1].name is \"a\"")));
  EXPECT_THAT(Topology::Create({{"a", 0, 1, ""}}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("gpus 0")));
  EXPECT_THAT(Topology::Uniform(65, 1, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("1 .. 64")));
}

}  // namespace
}  // namespace advisor
