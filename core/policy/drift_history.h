#ifndef ADVISOR_CORE_POLICY_DRIFT_HISTORY_H_
#define ADVISOR_CORE_POLICY_DRIFT_HISTORY_H_

#include <cstdint>
#include <optional>

#include "core/policy/options.h"

namespace advisor {

// Tells traffic that swings from traffic that has moved. Drift that rose above the threshold and
// fell below it again, with nothing solved in between, was a swing: a placement made for its far
// end would have been made in vain. While the last swing is within a plan's life, drift counts only
// once it has lasted twice as long as the longest swing. Measured in tokens, never by a clock.
class DriftHistory {
 public:
  // Drift against what was last solved for, once `tokens` tokens have come in all.
  void Add(double drift, uint64_t tokens, const PolicyOptions& options);
  // From here on drift is against other counts. Swings are remembered.
  void Solved() { above_since_.reset(); }

  // For how many tokens drift has been above the threshold; 0: it is not.
  uint64_t drifted_tokens() const { return above_since_.has_value() ? tokens_ - *above_since_ : 0; }
  // For how many it must be to count.
  uint64_t lasting_tokens() const { return 2 * longest_swing_; }

 private:
  uint64_t tokens_ = 0;
  std::optional<uint64_t> above_since_;
  uint64_t longest_swing_ = 0;  // tokens; 0: none is remembered
  uint64_t last_swing_ = 0;     // tokens that had come when it ended
};

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_DRIFT_HISTORY_H_
