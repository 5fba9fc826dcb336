#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/cost/evaluate.h"
#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"
#include "core/solver/moves.h"
#include "core/solver/solver.h"

namespace advisor {
namespace {

absl::StatusOr<Predicted> Predict(const Plan& plan, const Problem& problem, const Traffic& holdout,
                                  const SolveParams& params, const SolveResult& result) {
  Predicted predicted;
  predicted.layers_over_cap = result.layers_over_cap;
  const EvaluateOptions options{params.phase, params.dispatch, problem.time_model};
  ASSIGN_OR_RETURN(predicted.fit,
                   EvaluateWithBaseline(plan, problem.traffic, result.homes, options));
  const std::vector<NodeId> homes = AssignInOrder(plan, holdout);
  ASSIGN_OR_RETURN(predicted.figures, EvaluateWithBaseline(plan, holdout, homes, options));
  if (problem.microbatches > 1) {
    predicted.figures.distinct_experts_per_microbatch = DistinctExpertsPerMicrobatch(
        holdout, homes, SplitInOrder(plan, holdout, homes, problem.microbatches));
  }
  if (params.phase == PhaseFilter::kAll) {
    ASSIGN_OR_RETURN(
        predicted.prefill,
        EvaluateWithBaseline(plan, holdout, homes,
                             {PhaseFilter::kPrefill, params.dispatch, problem.time_model}));
    ASSIGN_OR_RETURN(predicted.decode, EvaluateWithBaseline(plan, holdout, homes,
                                                            {PhaseFilter::kDecode, params.dispatch,
                                                             problem.time_model}));
  }
  return predicted;
}

// A place in the sequences of `previous`: the next revision, and the next grouping revision where
// the grouping changed.
void Succeed(const Plan* previous, Plan* plan) {
  plan->position = {1, 1};
  plan->grouping.revision = plan->grouping.empty() ? 0 : 1;
  if (previous == nullptr) {
    return;
  }
  plan->deployment = previous->deployment;
  plan->position = {previous->position.epoch, previous->position.revision + 1};
  if (!plan->grouping.empty()) {
    const bool same = GroupingHash(plan->grouping) == GroupingHash(previous->grouping);
    plan->grouping.revision = previous->grouping.revision + (same ? 0 : 1);
  }
}

}  // namespace

absl::StatusOr<Plan> SolvePlan(const Problem& problem, const Traffic& holdout,
                               const SolveParams& params, const Plan* previous,
                               ParallelFor& parallel) {
  if (previous != nullptr && ModelFingerprint(previous->model) != ModelFingerprint(problem.model)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the previous plan is for model \"", previous->model.name, "\", the problem for \"",
        problem.model.name, "\"; solve without a previous plan"));
  }
  ASSIGN_OR_RETURN(SolveResult result, Solve(problem, params, parallel));
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = std::move(result.placement);
  plan.remote_choice = std::move(result.remote_choice);
  plan.grouping = std::move(result.grouping);
  plan.bounds = result.bounds;
  plan.reason = "solve";
  plan.method = ToString(params.method);
  plan.seed = params.seed;
  plan.time_limit_struck = result.termination == Termination::kTimeLimit;
  Succeed(previous, &plan);
  if (previous != nullptr) {
    plan.moves = MovesFrom(previous, plan);
  }
  ASSIGN_OR_RETURN(plan.predicted, Predict(plan, problem, holdout, params, result));
  return plan;
}

}  // namespace advisor
