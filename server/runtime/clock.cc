#include "server/runtime/clock.h"

#include <chrono>

namespace advisor::server {
namespace {

class MonotonicClock final : public Clock {
 public:
  absl::Time Now() const override {
    return start_ + absl::FromChrono(std::chrono::steady_clock::now() - steady_start_);
  }
  int64_t UnixMillis() const override {
    return absl::ToUnixMillis(absl::FromChrono(std::chrono::system_clock::now()));
  }

 private:
  const std::chrono::steady_clock::time_point steady_start_ = std::chrono::steady_clock::now();
  const absl::Time start_ = absl::FromChrono(std::chrono::system_clock::now());
};

}  // namespace

const Clock& SystemClock() {
  static const MonotonicClock clock;
  return clock;
}

}  // namespace advisor::server
