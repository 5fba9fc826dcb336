#ifndef ADVISOR_SERVER_OBSERVE_RUNTIME_STATUS_H_
#define ADVISOR_SERVER_OBSERVE_RUNTIME_STATUS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"

namespace advisor::server {

// What the daemon around the engine knows of itself, for metrics and the status page.
struct RuntimeStatus {
  std::string version;
  absl::Time now;
  double uptime_s = 0;
  int64_t started_unix_ms = 0;
  bool draining = false;
  std::array<uint64_t, 3> refused{};  // by lane: reports, control, internal
  uint64_t streams_too_fast = 0, streams_too_many = 0, streams_without_hello = 0;
  uint64_t frames_too_fast = 0;
  uint64_t store_writes = 0, store_failures = 0, store_damaged_records = 0;
  std::string store_error;  // of the last write; not empty: nothing can be published
  double store_write_seconds = 0, solve_seconds = 0;
  size_t report_streams = 0, subscribe_streams = 0;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_RUNTIME_STATUS_H_
