#ifndef ADVISOR_CORE_SOLVER_LOCAL_OPTIMUM_H_
#define ADVISOR_CORE_SOLVER_LOCAL_OPTIMUM_H_

#include <vector>

#include "absl/types/span.h"

namespace advisor {

// The most demand that one layer's placement can serve at home: maximises the sum of
// demand[node, expert] over the pairs held, where every expert is held by some node and node n
// holds at most capacity[n] experts. Exact. demand >= 0; the capacities sum to at least `experts`.
//
// Every node takes its best experts first. Then each expert that nobody took is forced in along the
// cheapest chain of exchanges: into node n, which hands an expert on to m, ..., until some node
// drops an expert held elsewhere too or has a free place. These are shortest augmenting paths of a
// min-cost flow (Ahuja, Magnanti, Orlin 1993, chapter 9), so every step stays optimal.
double MostServedAtHome(absl::Span<const double> demand, absl::Span<const int> capacity,
                        int experts);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LOCAL_OPTIMUM_H_
