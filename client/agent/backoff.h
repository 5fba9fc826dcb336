#ifndef ADVISOR_CLIENT_AGENT_BACKOFF_H_
#define ADVISOR_CLIENT_AGENT_BACKOFF_H_

#include <algorithm>

#include "absl/time/time.h"
#include "core/base/rng.h"

namespace advisor::client {

// Pauses between attempts to connect, at most `max`: full jitter below a bound that doubles from
// `min` to `max`. The bound starts again only after a stream lived kStable, so that a daemon which
// accepts and then drops is not hammered.
class Backoff {
 public:
  static constexpr absl::Duration kStable = absl::Seconds(30);

  Backoff(absl::Duration min, absl::Duration max, uint64_t seed)
      : min_(min), max_(std::max(min, max)), bound_(min), rng_(seed) {}

  // How long to wait after a stream that lived so long. `asked`: what the daemon said to wait; then
  // never less, and up to twice as much, so that those it sent away together do not come back so.
  absl::Duration Next(absl::Duration lived, absl::Duration asked = absl::ZeroDuration()) {
    if (lived >= kStable) {
      bound_ = min_;
    }
    const absl::Duration pause = bound_ * rng_.Uniform();
    bound_ = std::min(bound_ * 2, max_);
    if (asked <= absl::ZeroDuration()) {
      return pause;
    }
    return std::max(pause, std::min(asked, max_ / 2) * (1 + rng_.Uniform()));
  }

 private:
  absl::Duration min_, max_, bound_;
  Rng rng_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_BACKOFF_H_
