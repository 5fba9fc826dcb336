#ifndef ADVISOR_CORE_BASE_RNG_H_
#define ADVISOR_CORE_BASE_RNG_H_

#include <cmath>
#include <cstdint>

namespace advisor {

// One step of SplitMix64 (Steele, Lea, Flood 2014): a bijective mixer, also used to spread seeds
// and hash keys.
constexpr uint64_t Mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// Seeded generator with its own draws: the same seed gives the same values on every platform, which
// the standard distributions do not promise. SplitMix64 sequence. Not thread-safe; copy or Fork()
// it per task.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t Next() {
    const uint64_t out = Mix64(state_);
    state_ += 0x9e3779b97f4a7c15ULL;
    return out;
  }
  // Uniform in [0, n), n > 0. Multiply-shift (Lemire 2019) without rejection; bias below n / 2^32.
  uint32_t Below(uint32_t n) {
    return static_cast<uint32_t>((static_cast<uint64_t>(static_cast<uint32_t>(Next() >> 32)) * n) >>
                                 32);
  }
  // Uniform in [0, 1), 53 bits.
  double Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  // Standard normal, Box-Muller.
  double Normal() {
    const double u = 1.0 - Uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586 * Uniform());
  }
  // An independent stream for sub-task `key`; does not advance this one.
  Rng Fork(uint64_t key) const { return Rng(Mix64(state_ ^ Mix64(key))); }

 private:
  uint64_t state_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_BASE_RNG_H_
