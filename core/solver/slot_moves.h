#ifndef ADVISOR_CORE_SOLVER_SLOT_MOVES_H_
#define ADVISOR_CORE_SOLVER_SLOT_MOVES_H_

#include "core/model/placement.h"
#include "core/solver/layer_copies.h"

namespace advisor {

// Swaps the contents of two slots; either may be empty.
inline LayerMove SwapSlots(const LayerCopies& state, int i, int j) {
  LayerMove move;
  const int a = state.expert_in(i), b = state.expert_in(j);
  if (a != kEmptySlot) {
    move.change[move.changes++] = {a, j, i};
  }
  if (b != kEmptySlot) {
    move.change[move.changes++] = {b, i, j};
  }
  return move;
}

// Puts a copy of `expert` into slot i in place of what it holds.
inline LayerMove ReplaceCopy(const LayerCopies& state, int i, int expert) {
  LayerMove move;
  move.change[move.changes++] = {expert, i, -1};
  if (state.expert_in(i) != kEmptySlot) {
    move.change[move.changes++] = {state.expert_in(i), -1, i};
  }
  return move;
}

// Empty, or a copy that is not the last.
inline bool IsSpare(const LayerCopies& state, int slot) {
  const int e = state.expert_in(slot);
  return e == kEmptySlot || state.copies(e) > 1;
}

inline bool IsLegal(const LayerCopies& state, const LayerMove& move) {
  for (int k = 0; k < move.changes; ++k) {
    if (!state.Legal(move.change[k])) {
      return false;
    }
  }
  return move.changes > 0;
}

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_SLOT_MOVES_H_
