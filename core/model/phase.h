#ifndef ADVISOR_CORE_MODEL_PHASE_H_
#define ADVISOR_CORE_MODEL_PHASE_H_

namespace advisor {

// What a token is part of.
enum class Phase { kPrefill = 0, kDecode = 1 };
inline constexpr int kPhases = 2;

// Which traffic a deployment serves, a solve minimises or a figure judges.
enum class PhaseFilter { kAll, kPrefill, kDecode };

constexpr bool Includes(PhaseFilter filter, Phase phase) {
  return filter == PhaseFilter::kAll ||
         (filter == PhaseFilter::kPrefill) == (phase == Phase::kPrefill);
}

constexpr const char* ToString(Phase phase) {
  return phase == Phase::kPrefill ? "prefill" : "decode";
}
constexpr const char* ToString(PhaseFilter filter) {
  return filter == PhaseFilter::kAll       ? "all"
         : filter == PhaseFilter::kPrefill ? "prefill"
                                           : "decode";
}

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_PHASE_H_
