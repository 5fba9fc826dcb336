#include "core/session/rollout.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class RolloutTest : public ::testing::Test {
 protected:
  bool Ready() { return rollout_.AllStaged(topology_, &missing_); }
  Topology topology_ = *Topology::Uniform(2, 1, 8);
  Rollout rollout_{{1, 2}, 77};
  absl::Time now_ = absl::UnixEpoch();
  std::string missing_;
};

TEST_F(RolloutTest, EveryActorAndEveryNodeMustHaveStaged) {
  EXPECT_FALSE(rollout_.Running());
  rollout_.Ask("a", "node-0", now_);
  rollout_.Staged("a");
  EXPECT_FALSE(Ready());
  EXPECT_THAT(missing_, HasSubstr("node \"node-1\""));
  rollout_.Ask("b", "node-1", now_);
  EXPECT_FALSE(Ready());
  EXPECT_THAT(missing_, HasSubstr("\"b\" has not staged"));
  rollout_.Staged("b");
  EXPECT_TRUE(Ready());
  rollout_.Ask("c", "node-1", now_);  // joins late: must stage too
  EXPECT_FALSE(Ready());
}

TEST_F(RolloutTest, WhoLeavesTakesItsStagingAlong) {
  rollout_.Ask("a", "node-0", now_);
  rollout_.Ask("b", "node-1", now_);
  rollout_.Staged("a");
  rollout_.Staged("b");
  rollout_.Left("b");
  EXPECT_FALSE(Ready());
}

TEST_F(RolloutTest, AnActorWithoutNodeSpeaksForAll) {
  rollout_.Ask("group", "", now_);
  EXPECT_FALSE(Ready());
  rollout_.Staged("group");
  EXPECT_TRUE(Ready());
}

TEST_F(RolloutTest, DoneWhenAllApply) {
  rollout_.Ask("a", "node-0", now_);
  rollout_.Ask("b", "node-1", now_);
  rollout_.Staged("a");
  rollout_.Staged("b");
  EXPECT_TRUE(Ready());
  rollout_.Commit(now_);
  EXPECT_THAT(rollout_.At(Rollout::Stage::kStaged), ElementsAre("a", "b"));
  rollout_.Applied("a");
  EXPECT_THAT(rollout_.At(Rollout::Stage::kStaged), ElementsAre("b"));
  EXPECT_FALSE(rollout_.Done());
  rollout_.Applied("b");
  EXPECT_TRUE(rollout_.Done());
}

TEST_F(RolloutTest, TimeRunsFromTheFirstPrepareAndAnewFromCommit) {
  EXPECT_FALSE(rollout_.TimedOut(absl::Seconds(10), now_ + absl::Hours(1)));
  rollout_.Ask("a", "node-0", now_);
  rollout_.Ask("b", "node-1", now_ + absl::Seconds(9));
  EXPECT_FALSE(rollout_.TimedOut(absl::Seconds(10), now_ + absl::Seconds(10)));
  EXPECT_TRUE(rollout_.TimedOut(absl::Seconds(10), now_ + absl::Seconds(11)));
  rollout_.Commit(now_ + absl::Seconds(11));
  EXPECT_FALSE(rollout_.TimedOut(absl::Seconds(10), now_ + absl::Seconds(20)));
}

}  // namespace
}  // namespace advisor
