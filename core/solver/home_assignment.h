#ifndef ADVISOR_CORE_SOLVER_HOME_ASSIGNMENT_H_
#define ADVISOR_CORE_SOLVER_HOME_ASSIGNMENT_H_

#include <vector>

#include "absl/types/span.h"
#include "core/base/parallel.h"
#include "core/model/ids.h"
#include "core/model/placement.h"
#include "core/model/topology.h"
#include "core/solver/token_pool.h"

namespace advisor {

// Share of all home tokens that each node should get: its share of the GPUs.
std::vector<double> NodeShares(const Topology& topology);

// Weighted remote visits of every request on every node, [requests, nodes], summed over `layers` of
// the pool's tokens; activations known only by sums count as LayerTraffic charges them.
std::vector<double> HomeCosts(const TokenPool& pool, const ServeTable& serve, int nodes,
                              absl::Span<const int> layers, ParallelFor& parallel);

// What to add to the cost of each node, [nodes], so that items that go each where cost [items,
// nodes], per unit of demand, is least load no node further than `tolerance` off its share, as a
// part of it; the least uneven of what a few hundred subgradient steps towards such prices find,
// 0 where the costs alone do. Shares are above 0.
std::vector<double> BalancingBias(absl::Span<const double> cost, absl::Span<const double> demand,
                                  absl::Span<const double> share, double tolerance);

// Homes with a low sum of cost [items, nodes], the demand on node n at most share[n] x total x (1 +
// slack) where the items' sizes allow it. The problem is a generalised assignment: greedy by regret
// per unit of demand, then shifts and swaps while they gain. Deterministic; ties go to the lower
// index.
std::vector<NodeId> AssignBalanced(absl::Span<const double> cost, absl::Span<const double> demand,
                                   absl::Span<const double> share, double slack);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_HOME_ASSIGNMENT_H_
