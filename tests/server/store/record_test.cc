#include "server/store/record.h"

#include <memory>

#include "gtest/gtest.h"
#include "tests/support/sample_plan.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

PlanRecord SomeRecord() {
  PlanRecord record;
  record.plan = std::make_shared<const Plan>(testing::SamplePlan(7));
  record.content_hash = PlacementHash(*record.plan);
  record.grouping = {1, 3};
  record.reason = DecisionReason::kDrift;
  record.detail = "drift 0.2 \"quoted\"";
  record.published_unix_ms = 1'700'000'000'123;
  record.quarantined = true;
  record.committed = true;
  return record;
}

TEST(RecordTest, EveryFieldReturns) {
  const PlanRecord record = SomeRecord();
  ASSERT_OK_AND_ASSIGN(const PlanRecord back, FromText(ToText("chat", record)));
  EXPECT_EQ(back.content_hash, record.content_hash);
  EXPECT_EQ(back.grouping, record.grouping);
  EXPECT_EQ(back.reason, record.reason);
  EXPECT_EQ(back.detail, record.detail);
  EXPECT_EQ(back.published_unix_ms, record.published_unix_ms);
  EXPECT_TRUE(back.quarantined);
  EXPECT_TRUE(back.committed);
  EXPECT_EQ(back.plan->position, record.plan->position);
  EXPECT_EQ(back.plan->placement, record.plan->placement);
  EXPECT_EQ(back.plan->moves, record.plan->moves);
  EXPECT_EQ(GroupingHash(back.plan->grouping), GroupingHash(record.plan->grouping));
}

TEST(RecordTest, AnyFlippedBitIsDataLoss) {
  const RecordText good = ToText("chat", SomeRecord());
  const auto data_loss = StatusIs(absl::StatusCode::kDataLoss, HasSubstr("chat plan 1/7"));
  for (size_t i = 0; i < good.head.size(); ++i) {
    RecordText bad = good;
    bad.head[i] ^= 1;
    EXPECT_THAT(FromText(bad), data_loss);
  }
  for (size_t i = 0; i < good.plan.size(); i += 7) {
    RecordText bad = good;
    bad.plan[i] ^= 4;
    EXPECT_THAT(FromText(bad), data_loss);
  }
  RecordText bad = good;
  bad.position.revision = 8;
  EXPECT_FALSE(FromText(bad).ok());
  bad = good;
  bad.deployment = "other";
  EXPECT_FALSE(FromText(bad).ok());
}

TEST(DeploymentStateTest, EveryFieldReturns) {
  DeploymentState state;
  state.mode = Mode::kActive;
  state.frozen = true;
  state.quarantined_hashes = {1, ~uint64_t{0}};
  ASSERT_OK_AND_ASSIGN(const DeploymentState back, StateFromText(ToText(state)));
  EXPECT_EQ(back.mode, Mode::kActive);
  EXPECT_TRUE(back.frozen);
  EXPECT_EQ(back.quarantined_hashes, state.quarantined_hashes);
  EXPECT_FALSE(StateFromText("{").ok());
  EXPECT_FALSE(StateFromText("{}").ok());
}

}  // namespace
}  // namespace advisor::server
