#include "core/solver/methods.h"

namespace advisor {

absl::StatusOr<SolveResult> SolveLinear(const Problem& problem, const SolveParams&, ParallelFor&) {
  SolveResult result;
  result.placement = LinearPlacement(problem.model, problem.topology);
  result.homes = DealRoundRobin(problem.traffic.requests.size(), problem.topology.node_count());
  return result;
}

}  // namespace advisor
