#ifndef ADVISOR_CORE_SOLVER_TOKEN_BITS_H_
#define ADVISOR_CORE_SOLVER_TOKEN_BITS_H_

#include <bit>
#include <cstdint>

#include "core/solver/layer_traffic.h"

namespace advisor {

inline constexpr int kWordBits = 64;

// The tokens of `home`, padding included, are FirstToken(home) .. FirstToken(home + 1) - 1.
inline int FirstToken(const LayerTraffic& traffic, int home) {
  return traffic.first_word[home] * kWordBits;
}

// Calls visit(token) for every token of `home` in the bitset whose words are word(w), in rising
// order.
template <typename Word, typename Visit>
void ForTokens(const LayerTraffic& traffic, int home, Word word, Visit visit) {
  for (int w = traffic.first_word[home]; w < traffic.first_word[home + 1]; ++w) {
    for (uint64_t bits = word(w); bits != 0; bits &= bits - 1) {
      visit(w * kWordBits + std::countr_zero(bits));
    }
  }
}

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_TOKEN_BITS_H_
