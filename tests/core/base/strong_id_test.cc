#include "core/base/strong_id.h"

#include <type_traits>

#include "absl/container/flat_hash_set.h"
#include "core/model/ids.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

static_assert(!std::is_convertible_v<int, NodeId>, "ids are made on purpose");
static_assert(!std::is_convertible_v<GpuId, NodeId>, "ids of different kinds do not mix");

TEST(StrongIdTest, OrdersAndHashesByValue) {
  EXPECT_LT(NodeId(1), NodeId(2));
  absl::flat_hash_set<NodeId> ids = {NodeId(3), NodeId(3), NodeId(4)};
  EXPECT_EQ(ids.size(), 2u);
}

}  // namespace
}  // namespace advisor
