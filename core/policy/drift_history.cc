#include "core/policy/drift_history.h"

#include <algorithm>

namespace advisor {

void DriftHistory::Add(double drift, uint64_t tokens, const PolicyOptions& options) {
  tokens_ = tokens;
  if (static_cast<double>(tokens - last_swing_) > options.plan_life_tokens) {
    longest_swing_ = 0;
  }
  if (drift > options.drift_threshold) {
    above_since_ = above_since_.value_or(tokens);
  } else if (above_since_.has_value()) {
    longest_swing_ = std::max(longest_swing_, tokens - *above_since_);
    last_swing_ = tokens;
    above_since_.reset();
  }
}

}  // namespace advisor
