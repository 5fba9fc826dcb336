#ifndef ADVISOR_CORE_SOLVER_LOAD_LEVELING_H_
#define ADVISOR_CORE_SOLVER_LOAD_LEVELING_H_

#include <cstdint>
#include <functional>

#include "core/solver/layer_state.h"

namespace advisor {

// Brings loads under their limits with few slots moved. The GPU furthest above its limit trades
// with the others: it swaps a slot, gives a copy of an expert to a slot whose copy is not the last,
// takes another copy in place of a spare one of its own, or has a home served elsewhere. Of all
// trades the one with the largest drop of the cost per moved slot is taken; a GPU that has none
// makes way for the next. Ends when no GPU above its limit has any. Deterministic. Returns the
// trades looked at. A true `should_stop` (may be empty) ends it early; the state is always valid.
int64_t LevelLoads(LayerState& state, const std::function<bool()>& should_stop);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LOAD_LEVELING_H_
