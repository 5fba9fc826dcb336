#ifndef ADVISOR_SERVER_RUNTIME_CLOCK_H_
#define ADVISOR_SERVER_RUNTIME_CLOCK_H_

#include <cstdint>

#include "absl/time/time.h"

namespace advisor::server {

// The daemon's only source of time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Never goes back and does not follow changes of the wall clock: for intervals and liveness.
  virtual absl::Time Now() const = 0;
  // Wall clock, for display only.
  virtual int64_t UnixMillis() const = 0;
};

const Clock& SystemClock();

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_CLOCK_H_
