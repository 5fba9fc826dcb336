#ifndef ADVISOR_CLIENT_CTL_SOLVE_WATCH_H_
#define ADVISOR_CLIENT_CTL_SOLVE_WATCH_H_

#include <chrono>
#include <mutex>
#include <string>

#include "absl/time/time.h"

namespace advisor::client {

// The outer stop of a solve, and its progress line on standard error while that is a terminal.
// Lives as long as the solve; ShouldStop() may be called from any thread.
class SolveWatch {
 public:
  SolveWatch(std::string what, absl::Duration limit);
  ~SolveWatch();  // clears the line
  SolveWatch(const SolveWatch&) = delete;
  SolveWatch& operator=(const SolveWatch&) = delete;

  bool ShouldStop();

 private:
  const std::string what_;
  const std::chrono::steady_clock::time_point start_;
  const double limit_seconds_;  // infinite: none
  const bool terminal_;
  std::mutex mutex_;
  double shown_seconds_ = 0;  // guarded by mutex_
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_SOLVE_WATCH_H_
