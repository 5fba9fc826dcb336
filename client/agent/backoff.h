#ifndef ADVISOR_CLIENT_AGENT_BACKOFF_H_
#define ADVISOR_CLIENT_AGENT_BACKOFF_H_

#include <algorithm>

#include "absl/time/time.h"
#include "core/base/rng.h"

namespace advisor::client {

// Pauses between attempts to connect: full jitter below a bound that doubles from `min` to `max`.
// The bound starts again only after a stream lived kStable, so that a daemon which accepts and then
// drops is not hammered.
class Backoff {
 public:
  static constexpr absl::Duration kStable = absl::Seconds(30);

  Backoff(absl::Duration min, absl::Duration max, uint64_t seed)
      : min_(min), max_(std::max(min, max)), bound_(min), rng_(seed) {}

  // How long to wait after a stream that lived so long.
  absl::Duration Next(absl::Duration lived) {
    if (lived >= kStable) {
      bound_ = min_;
    }
    const absl::Duration pause = bound_ * rng_.Uniform();
    bound_ = std::min(bound_ * 2, max_);
    return pause;
  }

 private:
  absl::Duration min_, max_, bound_;
  Rng rng_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_BACKOFF_H_
