#include <vector>

#include "core/grouping/assigner.h"
#include "core/solver/solver.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;

class SolvePlanTest : public ::testing::Test {
 protected:
  SolvePlanTest() {
    Rng rng(6);
    problem_.model = SmallModel(2, 8, 2);
    problem_.topology = *Topology::Uniform(2, 2, 3);
    problem_.traffic = RandomTraffic(problem_.model, 12, 2, &rng);
    holdout_ = RandomTraffic(problem_.model, 10, 2, &rng);
    params_.method = Method::kEplb;
  }

  Problem problem_;
  Traffic holdout_;
  SolveParams params_;
  InlineParallelFor parallel_;
};

TEST_F(SolvePlanTest, PredictsOnTheHoldoutAndFitsOnTheTraining) {
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(problem_, holdout_, params_, nullptr, parallel_));
  EXPECT_THAT(Validate(plan), IsOk());
  ASSERT_TRUE(plan.predicted.has_value());
  const std::vector<NodeId> homes = AssignInOrder(plan, holdout_);
  const auto figures = [&](PhaseFilter phase) {
    return *EvaluateWithBaseline(plan, holdout_, homes, {phase});
  };
  EXPECT_EQ(plan.predicted->figures, figures(PhaseFilter::kAll));
  EXPECT_EQ(plan.predicted->prefill, figures(PhaseFilter::kPrefill));
  EXPECT_EQ(plan.predicted->decode, figures(PhaseFilter::kDecode));
  ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem_, params_, parallel_));
  EXPECT_EQ(plan.predicted->fit,
            *EvaluateWithBaseline(plan, problem_.traffic, result.homes, {PhaseFilter::kAll}));
  EXPECT_EQ(plan.predicted->layers_over_cap, result.layers_over_cap);
  EXPECT_EQ(plan.method, "eplb");
  EXPECT_TRUE(plan.moves.empty());
  params_.phase = PhaseFilter::kDecode;
  ASSERT_OK_AND_ASSIGN(const Plan decode,
                       SolvePlan(problem_, holdout_, params_, nullptr, parallel_));
  EXPECT_FALSE(decode.predicted->prefill.has_value());
}

TEST_F(SolvePlanTest, SucceedsThePreviousPlan) {
  params_.method = Method::kLinear;
  ASSERT_OK_AND_ASSIGN(Plan first, SolvePlan(problem_, holdout_, params_, nullptr, parallel_));
  EXPECT_EQ(first.position, (Position{1, 1}));
  first.deployment = "chat";
  first.position = {3, 7};
  params_.method = Method::kEplb;
  ASSERT_OK_AND_ASSIGN(const Plan second,
                       SolvePlan(problem_, holdout_, params_, &first, parallel_));
  EXPECT_EQ(second.deployment, "chat");
  EXPECT_EQ(second.position, (Position{3, 8}));
  EXPECT_EQ(static_cast<int64_t>(second.moves.size()),
            MovedSlots(second.topology, first.placement, second.placement));
  EXPECT_GT(second.moves.size(), 0u);
  ASSERT_OK_AND_ASSIGN(const Plan third,
                       SolvePlan(problem_, holdout_, params_, &second, parallel_));
  EXPECT_TRUE(third.moves.empty());
  first.model.name = "another";
  EXPECT_THAT(SolvePlan(problem_, holdout_, params_, &first, parallel_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is for model \"another\"")));
}

TEST_F(SolvePlanTest, AHoldoutOfNothingPredictsNothing) {
  holdout_.requests.clear();
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(problem_, holdout_, params_, nullptr, parallel_));
  EXPECT_EQ(plan.predicted->figures.tokens, 0);
  EXPECT_FALSE(plan.predicted->figures.saving_ratio.has_value());
  EXPECT_TRUE(plan.predicted->fit->saving_ratio.has_value());
}

}  // namespace
}  // namespace advisor
