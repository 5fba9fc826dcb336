#ifndef ADVISOR_CORE_SOLVER_LAYER_SEARCH_H_
#define ADVISOR_CORE_SOLVER_LAYER_SEARCH_H_

#include <cstdint>
#include <functional>

#include "core/base/rng.h"
#include "core/solver/layer_state.h"

namespace advisor {

// How one layer is annealed. Temperatures fall, and the price of load excess rises, geometrically
// over the work.
struct AnnealSchedule {
  double hot = 0.002;             // first temperature, as a share of the layer's token weight
  double cold = 0.00002;          // last temperature
  double first_load_price = 0.3;  // remote visits per activation above a cap
  double last_load_price = 3;
  int candidates = 1;  // swaps a proposal is the best of, by LayerState::MoveEstimate
  int64_t work = 0;    // see below
};

// Work is counted, not timed: a proposal costs 1 and kWorkPerCandidate for every candidate but the
// first, a token updated kWorkPerToken. A unit takes about 100 ns.
inline constexpr double kWorkPerToken = 0.2;
inline constexpr double kWorkPerCandidate = 0.14;

// Simulated annealing over slot swaps, replacements of copies that are not the last, and choices of
// remote nodes; then Descend(). Deterministic in `rng`. A true `should_stop` (may be empty) ends it
// early and cold: the state is always valid. Returns the proposals made.
int64_t Anneal(LayerState& state, const AnnealSchedule& schedule, Rng rng,
               const std::function<bool()>& should_stop);

// Takes every move that lowers the cost until none is left or the work is spent. Returns the
// proposals made.
int64_t Descend(LayerState& state, int64_t work, const std::function<bool()>& should_stop);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_SEARCH_H_
