#ifndef ADVISOR_CORE_SESSION_OPTIONS_H_
#define ADVISOR_CORE_SESSION_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace advisor {

struct SessionOptions {
  absl::Duration min_report_interval = absl::Seconds(1);
  absl::Duration max_report_interval = absl::Seconds(1);
  absl::Duration reporter_lease =
      absl::Seconds(60);  // silent for longer: its counts leave the window
  uint32_t credits = 8;
  uint32_t max_frame_bytes = 4u << 20;
  uint32_t key_frame_every = 64;                       // frames; 0: only when one is asked for
  int ack_every_frames = 4;                            // acknowledge by count ...
  absl::Duration ack_delay = absl::Milliseconds(100);  // ... or by time
  absl::Duration progress_interval = absl::Seconds(10);
  absl::Duration received_timeout =
      absl::Seconds(10);  // a subscriber that does not acknowledge RECEIVED is ended
  int kept_plans = 64;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_OPTIONS_H_
