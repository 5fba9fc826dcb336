#include "server/services/assigners.h"

#include <cstdlib>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

Prompt SomePrompt() { return {"law", 10, {{0, 1, 20}, {2, 7, 20}}}; }

TEST(DeploymentAssignerTest, DealsRoundRobinWithoutAPlan) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 100);
  for (int i = 0; i < 6; ++i) {
    const AssignedNode assigned = assigner.Assign(absl::StrCat("r", i), {});
    EXPECT_EQ(assigned.choice.node, NodeId(i % 3));
    EXPECT_EQ(assigned.ranked.size(), 3u);
    EXPECT_EQ(assigned.grouping, Position{});
  }
}

TEST(DeploymentAssignerTest, IsStickyUntilReleased) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 100);
  const NodeId first = assigner.Assign("r", {}).choice.node;
  for (int i = 0; i < 3; ++i) {
    const AssignedNode again = assigner.Assign("r", {});
    EXPECT_EQ(again.choice.node, first);
    EXPECT_TRUE(again.sticky);
  }
  EXPECT_TRUE(assigner.Release("r"));
  EXPECT_FALSE(assigner.Release("r"));
  const AssignedNode anew = assigner.Assign("r", {});
  EXPECT_FALSE(anew.sticky);
  EXPECT_EQ(anew.choice.node, NodeId((first.value() + 1) % 3));
}

TEST(DeploymentAssignerTest, FollowsThePlansGrouping) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 100);
  const auto plan = std::make_shared<const Plan>(testing::SamplePlan(5));
  const NodeId before = assigner.Assign("old", SomePrompt()).choice.node;
  assigner.Use(plan, {1, 5});
  EXPECT_EQ(assigner.Assign("old", SomePrompt()).choice.node, before);  // live ones stay
  const AssignedNode assigned = assigner.Assign("new", SomePrompt());
  Assigner alone(plan->grouping, 3);
  EXPECT_EQ(assigned.ranked[0].choice.node, alone.Rank(SomePrompt())[0].node);
  EXPECT_EQ(assigned.grouping, (Position{1, 5}));
  EXPECT_EQ(assigned.ranked[0].name, absl::StrCat("node-", assigned.ranked[0].choice.node.value()));
}

TEST(DeploymentAssignerTest, SplitsANodesRequestsWhereThePlanAsksForIt) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 100);
  Plan plan = testing::SamplePlan(5);
  assigner.Use(std::make_shared<const Plan>(plan), {1, 5});
  EXPECT_FALSE(assigner.Assign("whole", SomePrompt()).microbatch.has_value());
  plan.grouping.microbatches = 2;
  assigner.Use(std::make_shared<const Plan>(plan), {1, 6});
  std::map<std::pair<int, Microbatch>, int> placed;
  for (int i = 0; i < 30; ++i) {
    const AssignedNode assigned = assigner.Assign(absl::StrCat("r", i), SomePrompt());
    ASSERT_TRUE(assigned.microbatch.has_value());
    ++placed[{assigned.choice.node.value(), *assigned.microbatch}];
  }
  for (int node = 0; node < 3; ++node) {  // requests alike: what a node has is halved
    EXPECT_LE(std::abs(placed[{node, 0}] - placed[{node, 1}]), 2);
  }
  // Sticky, over a new grouping too; asked for no more, it is gone.
  const AssignedNode again = assigner.Assign("r7", SomePrompt());
  assigner.Use(std::make_shared<const Plan>(plan), {1, 7});
  EXPECT_TRUE(again.sticky);
  EXPECT_EQ(assigner.Assign("r7", SomePrompt()).microbatch, again.microbatch);
  plan.grouping.microbatches = 1;
  assigner.Use(std::make_shared<const Plan>(plan), {1, 8});
  EXPECT_FALSE(assigner.Assign("r7", SomePrompt()).microbatch.has_value());
  EXPECT_TRUE(assigner.Release("r7"));
}

TEST(DeploymentAssignerTest, LoadSpillsToOtherNodesAndSurvivesANewGrouping) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 1000);
  const auto plan = std::make_shared<const Plan>(testing::SamplePlan(5));
  assigner.Use(plan, {1, 5});
  bool spilled = false;
  for (int i = 0; i < 100; ++i) {
    spilled |= assigner.Assign(absl::StrCat("r", i), SomePrompt()).choice.spilled;
  }
  EXPECT_TRUE(spilled);
  assigner.Use(std::make_shared<const Plan>(testing::SamplePlan(5)), {1, 6});
  const AssignedNode next = assigner.Assign("next", SomePrompt());
  for (const AssignedNode::Ranked& ranked : next.ranked) {
    EXPECT_NEAR(ranked.load, 1, 0.25);
  }
}

TEST(DeploymentAssignerTest, ForgetsTheOldest) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 2);
  assigner.Assign("a", {});
  assigner.Assign("b", {});
  assigner.Assign("c", {});
  EXPECT_FALSE(assigner.Release("a"));
  EXPECT_TRUE(assigner.Release("b"));
  EXPECT_TRUE(assigner.Release("c"));
}

TEST(DeploymentAssignerTest, OtherNodesMakeAllRequestsNew) {
  DeploymentAssigner assigner(testing::SampleDeployment(), 100);
  assigner.Assign("r", {});
  Deployment smaller = testing::SampleDeployment();
  smaller.topology = *Topology::Uniform(2, 1, 6);
  assigner.Use(std::make_shared<const Plan>(testing::SamplePlan(1, smaller)), {1, 1});
  EXPECT_FALSE(assigner.Assign("r", {}).sticky);
}

TEST(AssignersTest, FindsByName) {
  Assigners assigners;
  assigners.Add(testing::SampleDeployment("a"));
  EXPECT_NE(assigners.Find("a"), nullptr);
  EXPECT_EQ(assigners.Find("b"), nullptr);
}

}  // namespace
}  // namespace advisor::server
