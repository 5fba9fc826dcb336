#ifndef ADVISOR_CORE_SOLVER_METHODS_H_
#define ADVISOR_CORE_SOLVER_METHODS_H_

#include "absl/status/statusor.h"
#include "core/solver/solver.h"

namespace advisor {

// One function per Method; Solve() checks problem and parameters, calls one of these and validates
// what it returns.

// Groups requests and places experts together, minimising de-duplicated inter-node visits under the
// load caps.
absl::StatusOr<SolveResult> SolveJoint(const Problem& problem, const SolveParams& params,
                                       ParallelFor& parallel);
// Expert e in slot floor(e x slots / experts), requests dealt round-robin: the contract's baseline.
absl::StatusOr<SolveResult> SolveLinear(const Problem& problem, const SolveParams& params,
                                        ParallelFor& parallel);
// DeepSeek's EPLB as published: hierarchical where groups divide by nodes, else global.
absl::StatusOr<SolveResult> SolveEplb(const Problem& problem, const SolveParams& params,
                                      ParallelFor& parallel);
// arXiv 2604.23150: K-means on expert counts, greedy placement by cluster usage, spare slots filled
// by usage.
absl::StatusOr<SolveResult> SolvePaper(const Problem& problem, const SolveParams& params,
                                       ParallelFor& parallel);
// Pairwise co-activation clustering with local-first copies (the GRACE line, arXiv 2509.25041).
absl::StatusOr<SolveResult> SolveGreedyCoactivation(const Problem& problem,
                                                    const SolveParams& params,
                                                    ParallelFor& parallel);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_METHODS_H_
