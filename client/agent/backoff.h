#ifndef ADVISOR_CLIENT_AGENT_BACKOFF_H_
#define ADVISOR_CLIENT_AGENT_BACKOFF_H_

#include <algorithm>

#include "absl/time/time.h"
#include "core/base/rng.h"

namespace advisor::client {

// Pauses between attempts to connect, at most `max`: full jitter below a bound that doubles from
// `min` to `max`. The bound starts again only after a stream lived kStable, so that a daemon which
// accepts and then drops is not hammered, and where the daemon, found again, says when to come.
class Backoff {
 public:
  static constexpr absl::Duration kStable = absl::Seconds(30);
  static constexpr absl::Duration kSpread = absl::Seconds(5);

  Backoff(absl::Duration min, absl::Duration max, uint64_t seed)
      : min_(min), max_(std::max(min, max)), bound_(min), rng_(seed) {}

  // How long to wait after a stream that lived so long. `asked`: what the daemon said to wait; then
  // never less, and up to twice as much but at most kSpread more, so that those it sent away
  // together do not come back so.
  absl::Duration Next(absl::Duration lived, absl::Duration asked = absl::ZeroDuration()) {
    const bool is_asked = asked > absl::ZeroDuration();
    if (lived >= kStable || (is_asked && !was_asked_)) {
      bound_ = min_;
    }
    was_asked_ = is_asked;
    const absl::Duration pause = bound_ * rng_.Uniform();
    bound_ = std::min(bound_ * 2, max_);
    if (!is_asked) {
      return pause;
    }
    const absl::Duration spread = std::min({asked, kSpread, max_ / 2});
    return std::max(pause, std::min(asked, max_ - spread) + spread * rng_.Uniform());
  }

 private:
  absl::Duration min_, max_, bound_;
  bool was_asked_ = false;  // after the last stream
  Rng rng_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_BACKOFF_H_
