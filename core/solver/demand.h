#ifndef ADVISOR_CORE_SOLVER_DEMAND_H_
#define ADVISOR_CORE_SOLVER_DEMAND_H_

#include <vector>

#include "absl/types/span.h"
#include "core/base/parallel.h"
#include "core/model/ids.h"
#include "core/model/phase.h"
#include "core/model/request.h"

namespace advisor {

// Activations wanted by the tokens of every home: all that counts can tell about a layer.
struct Demand {
  int layers = 0, nodes = 0, experts = 0;
  std::vector<double> cells;  // [layers, nodes (home), experts], requests times their weights

  const double* row(int l, int home) const { return &cells[(size_t(l) * nodes + home) * experts]; }
  double* row(int l, int home) { return &cells[(size_t(l) * nodes + home) * experts]; }
};

// Demand of the tokens of `phase` with request i homed on homes[i], below `nodes`. Requests known
// by counts enter in every phase.
Demand DemandByHome(const Traffic& traffic, absl::Span<const NodeId> homes, int nodes,
                    PhaseFilter phase, ParallelFor& parallel);

// The same without homes: [layers, 1, experts].
Demand PooledDemand(const Traffic& traffic, PhaseFilter phase, ParallelFor& parallel);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_DEMAND_H_
