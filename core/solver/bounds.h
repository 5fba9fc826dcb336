#ifndef ADVISOR_CORE_SOLVER_BOUNDS_H_
#define ADVISOR_CORE_SOLVER_BOUNDS_H_

#include <optional>

#include "absl/types/span.h"
#include "core/base/parallel.h"
#include "core/model/plan.h"
#include "core/solver/solver.h"

namespace advisor {

// What no placement on the problem's topology, and no remote choice, can beat while the problem's
// requests keep these homes; in the figures' units, on params.phase. For another grouping of the
// requests less may be possible. gap_ratio is left unset.
// - Remote activations: the exact optimum (MostServedAtHome).
// - Visits: the larger of two. A visit carries at most top_k experts, and no more than the largest
//   node has slots. And a token stays at home only if home holds all its experts: spread its weight
//   over them in any way, then the weight of the tokens that stay is at most the weight on held
//   experts, which is bounded like activations; spreading it evenly over all experts makes that
//   tight. Exact for top_k = 1, loose above: how often experts that leave home can leave together
//   is not bounded.
// - Modelled time, where there is a time model: the time of every layer at the bound of its GPU
// load
//   and of its largest message, which is at least the mean over all pairs of nodes, and over the
//   pairs of any one home, of what must be sent.
// - Loads: an expert's hottest copy carries at least its load over its copies; spare slots are
// given
//   where they lower the largest such share most.
// Bounds of traffic are left out where only balance is asked for: they take longer than balancing.
Bounds LowerBounds(const Problem& problem, const SolveParams& params,
                   absl::Span<const NodeId> homes, ParallelFor& parallel);

// (value - bound) / value of the objective minimised, the value being that of `layers` (the result
// evaluated on the problem's traffic). Visits stand for bytes; where only sums are known,
// activations do. Unset: no bound for the objective.
std::optional<double> GapRatio(const Problem& problem, const SolveParams& params,
                               const Bounds& bounds, absl::Span<const LayerFigures> layers);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_BOUNDS_H_
