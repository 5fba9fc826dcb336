#include "server/convert/stored_plan.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/sample_plan.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

TEST(StoredPlanTest, EverythingReturns) {
  Plan plan = testing::SamplePlan(7);
  Rng rng(1);
  plan.remote_choice = testing::RandomRemoteChoice(plan.model, plan.topology, plan.placement, &rng);
  plan.predicted->prefill.emplace().tokens = 3;
  plan.predicted->decode.emplace().saving_ratio = 0.5;
  plan.predicted->fit.emplace().gpu_load = {1.5, 2};
  plan.predicted->layers_over_cap = {0, 2};
  plan.bounds = {1, 2, 3, 4, 5, 6, 7};
  plan.time_limit_struck = true;
  ASSERT_OK_AND_ASSIGN(const Plan back, PlanFromBytes(ToBytes(plan), plan.deployment));
  EXPECT_EQ(back.deployment, plan.deployment);
  EXPECT_EQ(back.position, plan.position);
  EXPECT_EQ(back.model, plan.model);
  EXPECT_EQ(back.topology, plan.topology);
  EXPECT_EQ(back.placement, plan.placement);
  EXPECT_EQ(back.remote_choice, plan.remote_choice);
  EXPECT_EQ(back.grouping, plan.grouping);
  EXPECT_EQ(back.predicted, plan.predicted);
  EXPECT_EQ(back.bounds, plan.bounds);
  EXPECT_EQ(back.moves, plan.moves);
  EXPECT_EQ(back.reason, plan.reason);
  EXPECT_EQ(back.method, plan.method);
  EXPECT_EQ(back.seed, plan.seed);
  EXPECT_TRUE(back.time_limit_struck);
}

TEST(StoredPlanTest, WhatIsUnsetStaysUnset) {
  Plan plan = testing::SamplePlan(7);
  plan.grouping = {};
  plan.predicted.reset();
  plan.moves.clear();
  ASSERT_OK_AND_ASSIGN(const Plan back, PlanFromBytes(ToBytes(plan), plan.deployment));
  EXPECT_TRUE(back.grouping.empty());
  EXPECT_FALSE(back.predicted.has_value());
  EXPECT_EQ(back.bounds, Bounds());
  EXPECT_FALSE(back.time_limit_struck);
}

TEST(StoredPlanTest, RefusesWhatIsNoPlan) {
  EXPECT_FALSE(PlanFromBytes("", "chat").ok());
  EXPECT_FALSE(PlanFromBytes("no plan", "chat").ok());
  Plan plan = testing::SamplePlan(7);
  plan.placement.cells().assign(plan.placement.cells().size(), 0);  // seven experts have no copy
  EXPECT_FALSE(PlanFromBytes(ToBytes(plan), "chat").ok());
}

}  // namespace
}  // namespace advisor::server
