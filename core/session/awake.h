#ifndef ADVISOR_CORE_SESSION_AWAKE_H_
#define ADVISOR_CORE_SESSION_AWAKE_H_

#include "absl/time/time.h"

namespace advisor {

// Since when this side has run without a break. During a break it hears nobody and what peers said
// lies unread, so a peer's time to answer, `patience`, must not be counted from before its end.
class Awake {
 public:
  // At every tick. A tick late by a fifth of `patience` is a break.
  absl::Time Tick(absl::Time now, absl::Duration patience) {
    if (now - last_tick_ > patience / 5) {
      since_ = now;
    }
    last_tick_ = now;
    return since_;
  }

 private:
  absl::Time last_tick_ = absl::InfiniteFuture(), since_ = absl::InfinitePast();
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_AWAKE_H_
