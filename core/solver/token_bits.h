#ifndef ADVISOR_CORE_SOLVER_TOKEN_BITS_H_
#define ADVISOR_CORE_SOLVER_TOKEN_BITS_H_

#include <bit>
#include <cstdint>

#include "core/solver/layer_traffic.h"

namespace advisor {

inline constexpr int kWordBits = 64;

// std::popcount() is a call on processors without the instruction, which we are built for.
inline int Ones(uint64_t x) {
  x -= x >> 1 & 0x5555555555555555;
  x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
  x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
  return static_cast<int>(x * 0x0101010101010101 >> 56);
}

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
