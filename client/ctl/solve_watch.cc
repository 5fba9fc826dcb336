#include "client/ctl/solve_watch.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace advisor::client {
namespace {

constexpr double kShowEverySeconds = 0.5;

}  // namespace

SolveWatch::SolveWatch(std::string what, absl::Duration limit)
    : what_(std::move(what)),
      start_(std::chrono::steady_clock::now()),
      limit_seconds_(absl::ToDoubleSeconds(limit)),
      terminal_(isatty(STDERR_FILENO) == 1) {}

SolveWatch::~SolveWatch() {
  if (shown_seconds_ > 0) {
    std::fprintf(stderr, "\r\033[K");
  }
}

bool SolveWatch::ShouldStop() {
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  if (terminal_) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (elapsed.count() >= shown_seconds_ + kShowEverySeconds) {
      shown_seconds_ = elapsed.count();
      std::fprintf(stderr, "\r\033[K%s: %.0f s", what_.c_str(), shown_seconds_);
      std::fflush(stderr);
    }
  }
  return elapsed.count() >= limit_seconds_;
}

}  // namespace advisor::client
