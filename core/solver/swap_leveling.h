#ifndef ADVISOR_CORE_SOLVER_SWAP_LEVELING_H_
#define ADVISOR_CORE_SOLVER_SWAP_LEVELING_H_

#include <cstdint>

#include "absl/types/span.h"
#include "core/model/topology.h"

namespace advisor {

// Levels the GPUs of a row by swaps between the most loaded and the least loaded that has one,
// where every copy of an expert serves `share[expert]` wherever it is. A swap lowers the larger of
// the two loads and makes no double. Ends when no GPU is above `limit` or no swap is left. Moves
// are free: for a start, before anything is in force. Deterministic.
void LevelBySwaps(const Topology& topology, absl::Span<const double> share, double limit,
                  absl::Span<int16_t> row);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_SWAP_LEVELING_H_
