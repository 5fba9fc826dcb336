#ifndef ADVISOR_CORE_SOLVER_GPU_LEVELING_H_
#define ADVISOR_CORE_SOLVER_GPU_LEVELING_H_

#include <cstdint>
#include <vector>

#include "core/solver/cover_state.h"
#include "core/solver/layer_state.h"

namespace advisor {

// The layer's row with the copies of every node packed anew on its GPUs (PackGpus), which changes
// no visit and no node load. A node keeps its own packing where that is as even in some load set,
// or where it holds an expert twice.
std::vector<int16_t> LevelGpus(const LayerState& layer);
std::vector<int16_t> LevelGpus(const CoverState& layer);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_GPU_LEVELING_H_
