#ifndef ADVISOR_CORE_BASE_STRONG_ID_H_
#define ADVISOR_CORE_BASE_STRONG_ID_H_

#include <compare>
#include <cstdint>
#include <utility>

namespace advisor {

// An integer that cannot be mixed up with an integer of another meaning. `Tag` is any type, used
// only to tell kinds apart. Ordered, hashable (Abseil), trivially copyable.
template <typename Tag, typename Rep = int32_t>
class StrongId {
 public:
  using rep = Rep;
  constexpr StrongId() = default;
  constexpr explicit StrongId(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(StrongId, StrongId) = default;
  template <typename H>
  friend H AbslHashValue(H h, StrongId id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_BASE_STRONG_ID_H_
