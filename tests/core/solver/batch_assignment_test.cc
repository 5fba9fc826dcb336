#include "core/solver/batch_assignment.h"

#include <algorithm>
#include <vector>

#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"
#include "core/solver/solver.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

TEST(BatchAssignmentTest, SplitsNoWorseThanOneByOneAndBalanced) {
  Rng rng(5);
  Problem problem;
  problem.model = SmallModel(3, 32, 4);
  problem.topology = *Topology::Uniform(2, 2, 8);
  problem.microbatches = 2;
  problem.traffic = RandomTraffic(problem.model, 80, 4, &rng);
  const Traffic holdout = RandomTraffic(problem.model, 200, 4, &rng);
  InlineParallelFor parallel;
  SolveParams params;
  params.effort = Effort::kQuick;
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(problem, holdout, params, nullptr, parallel));
  EXPECT_EQ(plan.grouping.microbatches, 2);

  const std::vector<NodeId> in_order = AssignInOrder(plan, holdout);
  const std::vector<Microbatch> split = SplitInOrder(plan, holdout, in_order, 2);
  const double one_by_one = *DistinctExpertsPerMicrobatch(holdout, in_order, split);
  EXPECT_EQ(plan.predicted->figures.distinct_experts_per_microbatch, one_by_one);

  const std::vector<Microbatch> batch = SplitBatch(plan, holdout, in_order, 2);
  EXPECT_LT(*DistinctExpertsPerMicrobatch(holdout, in_order, batch), 1.01 * one_by_one);
  const Assigner expects(plan.grouping, 2);
  std::vector<double> load(4, 0);
  for (size_t i = 0; i < batch.size(); ++i) {
    load[in_order[i].value() * 2 + batch[i]] +=
        expects.ExpectedDecodeTokens(PromptOf(plan.model, holdout.requests[i]));
  }
  for (int node = 0; node < 2; ++node) {
    EXPECT_LT(std::max(load[node * 2], load[node * 2 + 1]),
              1.1 * (load[node * 2] + load[node * 2 + 1]) / 2);
  }
  const std::vector<NodeId> homes = AssignBatch(plan, holdout);
  EXPECT_LT(*Evaluate(plan, holdout, homes, {})->remote_visits_per_token_layer,
            1.01 * *Evaluate(plan, holdout, in_order, {})->remote_visits_per_token_layer);
}

}  // namespace
}  // namespace advisor
