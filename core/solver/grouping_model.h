#ifndef ADVISOR_CORE_SOLVER_GROUPING_MODEL_H_
#define ADVISOR_CORE_SOLVER_GROUPING_MODEL_H_

#include "core/base/parallel.h"
#include "core/model/placement.h"
#include "core/model/plan.h"
#include "core/solver/token_pool.h"

namespace advisor {

// Fits the linear model by which Assigner places requests from their prompts to a placement.
//
// The affinity of (layer, expert, node) is the mean, over the tokens that chose the expert, of its
// share of the visits that the token would cost from that node: 0 where the node holds it, else one
// over the number of the token's experts that the serving node has. Summed over a token's experts
// that is exactly its visits, on average over the traffic. How far a prompt's own estimate and its
// domain's mean are to be believed is fitted to what the training requests cost in `phase`, every
// request's domain mean being taken without it. A node that would then attract far more or less
// than its share [nodes] of the traffic gets a bias; the other fields of the load rule, but for its
// price, are left to SetLoadModel().
Grouping FitGrouping(const TokenPool& pool, PhaseFilter phase, const ServeTable& serve,
                     absl::Span<const double> share, ParallelFor& parallel);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_GROUPING_MODEL_H_
