#include "client/ctl/trial.h"

#include <utility>

#include "client/ctl/solve_watch.h"
#include "core/base/status_macros.h"
#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"

namespace advisor::client {

absl::StatusOr<Trial> SolveAndJudge(const std::string& what, const Problem& problem,
                                    const SolveParams& params, const Traffic& holdout,
                                    const EvaluateOptions& judged, ParallelFor& parallel) {
  SolveWatch watch(what, absl::InfiniteDuration());
  SolveParams watched = params;
  watched.should_stop = [&watch] { return watch.ShouldStop(); };
  Traffic none;
  none.model = holdout.model;
  Trial trial;
  ASSIGN_OR_RETURN(trial.plan, SolvePlan(problem, none, watched, nullptr, parallel));
  trial.homes = AssignInOrder(trial.plan, holdout);
  ASSIGN_OR_RETURN(trial.figures, EvaluateWithBaseline(trial.plan, holdout, trial.homes, judged));
  if (problem.microbatches > 1) {
    trial.figures.distinct_experts_per_microbatch = DistinctExpertsPerMicrobatch(
        holdout, trial.homes, SplitInOrder(trial.plan, holdout, trial.homes, problem.microbatches));
  }
  return trial;
}

}  // namespace advisor::client
