#ifndef ADVISOR_CORE_WINDOW_COUNTS_H_
#define ADVISOR_CORE_WINDOW_COUNTS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "core/model/model_spec.h"
#include "core/window/report.h"

namespace advisor {

// The rule that a block's counts broke, and where first.
struct CountsFault {
  RejectReason reason = RejectReason::kShape;
  int layer = 0;
  std::string message;  // what, got against limit
};

// Most tokens of one block: what agents merge at most, and what cells of 32 bits hold.
inline constexpr uint64_t kMaxBlockTokens = uint64_t{1} << 31;

// Adds a block's counts to `cells` [layers, experts] and checks, in the same pass, the laws of
// counts: the encoding has exactly the model's shape, every layer sums to tokens x top_k, no expert
// is chosen more often than there are tokens. On a fault `cells` is as it was. Costs about one
// touch of every byte and cell; allocates only on a fault.
std::optional<CountsFault> AddChecked(const ModelSpec& model, const EncodedCounts& counts,
                                      uint64_t tokens, uint32_t* cells);
// The same modulo 2^16.
std::optional<CountsFault> AddChecked(const ModelSpec& model, const EncodedCounts& counts,
                                      uint64_t tokens, uint16_t* cells);

// Adds whatever the counts say, modulo 2^32, and checks only their shape.
std::optional<CountsFault> AddUnchecked(const ModelSpec& model, const EncodedCounts& counts,
                                        uint32_t* cells);

// The laws of AddChecked() on plain cells.
std::optional<CountsFault> CheckLaws(const ModelSpec& model, uint64_t tokens,
                                     const uint32_t* cells);

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_COUNTS_H_
