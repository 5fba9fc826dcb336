#ifndef ADVISOR_CORE_SOLVER_COVER_SEARCH_H_
#define ADVISOR_CORE_SOLVER_COVER_SEARCH_H_

#include <cstdint>
#include <functional>

#include "core/base/rng.h"
#include "core/solver/cover_state.h"
#include "core/solver/layer_search.h"

namespace advisor {

// Lowers what a layer costs under Dispatch::kCover by slot swaps and replacements of copies that
// are not the last, from a placement that was searched for the table: one is near the other. Moves
// come to their exact price only when a first-order estimate is promising. Annealed for most of the
// schedule's work, then the moves with the best estimates are tried until none gains or the work is
// spent. Deterministic in `rng`. A true `should_stop` (may be empty) ends it early: the state is
// always valid, but may then cost more than it did. Returns the moves looked at.
int64_t SearchCover(CoverState& state, const AnnealSchedule& schedule, Rng rng,
                    const std::function<bool()>& should_stop);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_COVER_SEARCH_H_
