#ifndef ADVISOR_CORE_SOLVER_BEST_GROUPING_H_
#define ADVISOR_CORE_SOLVER_BEST_GROUPING_H_

#include <functional>
#include <vector>

#include "core/solver/request_groups.h"
#include "core/solver/solver.h"

namespace advisor {

// Places experts for homes given in the pool's order and says how requests find their node: fills
// placement, remote choice and grouping. Called from many threads.
using BuildForHomes = std::function<SolveResult(const std::vector<NodeId>& homes)>;

// Groups requests by K-means, K being 1, 2 and 4 times the nodes, each from several seeds (by
// effort), and keeps the build with the fewest remote visits (remote activations, where only sums
// are known) when the solver's own requests are assigned one by one by their prompts.
SolveResult SolveByBestGrouping(const Problem& problem, const SolveParams& params,
                                const TokenPool& pool, const RequestGroups& groups,
                                const BuildForHomes& build, ParallelFor& parallel);

// Homes in the pool's order as homes of the traffic's requests.
std::vector<NodeId> InTrafficOrder(const TokenPool& pool, const std::vector<NodeId>& homes);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_BEST_GROUPING_H_
