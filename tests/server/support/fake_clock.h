#ifndef ADVISOR_TESTS_SERVER_SUPPORT_FAKE_CLOCK_H_
#define ADVISOR_TESTS_SERVER_SUPPORT_FAKE_CLOCK_H_

#include <atomic>
#include <cstdint>

#include "server/runtime/clock.h"

namespace advisor::testing {

// Stands still until told. Thread-safe.
class FakeClock final : public server::Clock {
 public:
  absl::Time Now() const override { return absl::FromUnixMillis(millis_); }
  int64_t UnixMillis() const override { return millis_; }
  void Advance(absl::Duration by) { millis_ += absl::ToInt64Milliseconds(by); }

 private:
  std::atomic<int64_t> millis_{1'000'000};
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SERVER_SUPPORT_FAKE_CLOCK_H_
