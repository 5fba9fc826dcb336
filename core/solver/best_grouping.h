#ifndef ADVISOR_CORE_SOLVER_BEST_GROUPING_H_
#define ADVISOR_CORE_SOLVER_BEST_GROUPING_H_

#include <functional>
#include <vector>

#include "core/solver/request_groups.h"
#include "core/solver/solver.h"

namespace advisor {

// A solution for one grouping of the requests and what it costs, in any unit.
struct Grouped {
  SolveResult result;  // placement, remote choice, grouping and homes
  double cost = 0;
};

// Groups requests by K-means, K being 1, 2 and 4 times the nodes, each from several seeds (by
// effort), and keeps the cheapest of what `build` makes of their homes, which come in the order of
// the groups' requests. `build` is called from many threads.
SolveResult SolveByBestGrouping(const Problem& problem, const SolveParams& params,
                                const RequestGroups& groups,
                                const std::function<Grouped(const std::vector<NodeId>&)>& build,
                                ParallelFor& parallel);

// Homes in the pool's order as homes of the traffic's requests.
std::vector<NodeId> InTrafficOrder(const TokenPool& pool, const std::vector<NodeId>& homes);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_BEST_GROUPING_H_
