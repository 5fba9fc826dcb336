#ifndef ADVISOR_CLIENT_CTL_TRIAL_H_
#define ADVISOR_CLIENT_CTL_TRIAL_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/parallel.h"
#include "core/cost/evaluate.h"
#include "core/model/plan.h"
#include "core/solver/solver.h"

namespace advisor::client {

// A plan, and what it does to requests that its solver has not seen, placed one by one as `assign`
// does.
struct Trial {
  Plan plan;
  std::vector<NodeId> homes;  // of the holdout's requests
  Figures figures;            // with the savings against the linear placement
};

// `what` is shown while it takes time, on a terminal.
absl::StatusOr<Trial> SolveAndJudge(const std::string& what, const Problem& problem,
                                    const SolveParams& params, const Traffic& holdout,
                                    const EvaluateOptions& judged, ParallelFor& parallel);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_TRIAL_H_
