#ifndef ADVISOR_CLIENT_AGENT_STEP_H_
#define ADVISOR_CLIENT_AGENT_STEP_H_

#include <cstdint>
#include <string_view>

#include "absl/types/span.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/window/report.h"
#include "proto/convert/limits.h"

namespace advisor::client {

// One engine step as it came in. Views into the message that carried it; meaning and limits of the
// fields are those of proto/advisor/v1/intake.proto.

struct RequestRows {
  std::string_view request_id;
  uint32_t tokens = 0;
};

struct StepBlock {
  std::string_view domain;
  Phase phase = Phase::kDecode;
  uint32_t tokens = 0;
  std::string_view experts;  // [tokens, layers, top_k], 1 byte per id up to 256 experts, else 2
  const EncodedCounts* counts = nullptr;  // [layers, experts]; set: instead of `experts`
  absl::Span<const RequestRows> requests;
};

struct Step {
  uint64_t step = 0;
  uint32_t merged_steps = 1;
  Position applied;
  absl::Span<const StepBlock> blocks;
};

// Domains an agent keeps apart; the last is for all others.
inline constexpr size_t kMaxDomains = kMaxBlocks / kPhases;

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_STEP_H_
