#include "core/policy/solve_trigger.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace advisor {
namespace {

constexpr uint64_t kFillingPatience = 4;  // times min_window_tokens

std::string Text(absl::Duration duration) {
  return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(duration));
}

// What must hold before anything is solved, by the clock or by the traffic.
std::optional<Verdict> NotNow(const SolveConditions& c, const PolicyOptions& options,
                              absl::Time now) {
  if (c.frozen) {
    return Verdict{DecisionReason::kFrozen, "publishing is stopped: unfreeze to go on"};
  }
  if (c.rollout_running) {
    return Verdict{DecisionReason::kRolloutRunning,
                   "the last placement is neither in force everywhere nor aborted"};
  }
  if (c.coverage < options.min_coverage &&
      (c.coverage == 0 || now - c.coverage_low_since < options.coverage_wait)) {
    return Verdict{DecisionReason::kLowCoverage,
                   absl::StrFormat("%.0f %% of nodes report, must be %.0f %%", 100 * c.coverage,
                                   100 * options.min_coverage)};
  }
  if (c.window_tokens < options.min_window_tokens) {
    return Verdict{DecisionReason::kTooLittleTraffic,
                   absl::StrFormat("window has %d tokens, must have %d", c.window_tokens,
                                   options.min_window_tokens)};
  }
  // Whoever sends fastest must not be the whole window. Much traffic ends the wait: one that never
  // fills its first bucket holds up nobody for long.
  if (c.filling && c.window_tokens < kFillingPatience * options.min_window_tokens) {
    return Verdict{DecisionReason::kTooLittleTraffic,
                   absl::StrFormat("a reporter fills its first bucket; the window has %d tokens, "
                                   "from %d on it is not waited for",
                                   c.window_tokens, kFillingPatience * options.min_window_tokens)};
  }
  return std::nullopt;
}

// Why a solve is due, whatever the pauses say.
Verdict Due(const SolveConditions& c, const PolicyOptions& options, absl::Time now) {
  if (c.topology_changed) {
    return {DecisionReason::kTopologyChange, "the plan in force is for another topology"};
  }
  if (!c.has_plan) {
    return {DecisionReason::kFirstPlan, absl::StrFormat("window has %d tokens", c.window_tokens)};
  }
  if (c.drift > options.drift_threshold && c.drifted_tokens >= c.lasting_tokens) {
    return {DecisionReason::kDrift,
            absl::StrFormat("drift %.3f above %.3f", c.drift, options.drift_threshold)};
  }
  if (!c.last_solve.has_value()) {
    return {DecisionReason::kPeriodic, "not solved since the daemon started"};
  }
  if (now - *c.last_solve >= options.max_solve_interval) {
    return {DecisionReason::kPeriodic,
            absl::StrCat("last solved ", Text(now - *c.last_solve), " ago")};
  }
  if (c.drift > options.drift_threshold) {
    return {
        DecisionReason::kSwinging,
        absl::StrFormat("drift %.3f above %.3f for %d tokens, must be for %d: traffic came back "
                        "by itself before",
                        c.drift, options.drift_threshold, c.drifted_tokens, c.lasting_tokens)};
  }
  return {DecisionReason::kNoDrift,
          absl::StrFormat("drift %.3f, threshold %.3f", c.drift, options.drift_threshold)};
}

}  // namespace

std::optional<Verdict> PauseAfterAborts(const Aborts& aborts, const PolicyOptions& options,
                                        absl::Time now) {
  if (aborts.in_a_row == 0) {
    return std::nullopt;
  }
  absl::Duration pause = options.stage_timeout;
  for (int i = 1; i < aborts.in_a_row && pause < options.max_solve_interval; ++i) {
    pause *= 2;
  }
  pause = std::min(pause, options.max_solve_interval);
  if (now - aborts.last >= pause) {
    return std::nullopt;
  }
  return Verdict{
      DecisionReason::kCooldown,
      absl::StrFormat("%d aborted in a row, the last %s ago, must be %s: %s; an operator's "
                      "solve-now does not wait",
                      aborts.in_a_row, Text(now - aborts.last), Text(pause), aborts.why)};
}

Verdict WhenToSolve(const SolveConditions& c, const PolicyOptions& options, absl::Time now) {
  if (std::optional<Verdict> not_now = NotNow(c, options, now)) {
    return *not_now;
  }
  const Verdict due = Due(c, options, now);
  if (!IsPublish(due.reason)) {
    return due;
  }
  if (std::optional<Verdict> pause = PauseAfterAborts(c.aborts, options, now)) {
    return *pause;
  }
  if (c.last_solve.has_value() && now - *c.last_solve < options.min_solve_interval) {
    return {DecisionReason::kCooldown,
            absl::StrCat("last solved ", Text(now - *c.last_solve), " ago, must be ",
                         Text(options.min_solve_interval))};
  }
  const uint64_t new_tokens = std::min(options.min_window_tokens, c.window_tokens / 4);
  if (c.last_solve.has_value() && c.tokens_since_solve < new_tokens) {
    return {DecisionReason::kCooldown,
            absl::StrFormat("%d new tokens since the last solve, must be %d", c.tokens_since_solve,
                            new_tokens)};
  }
  if (c.has_plan && c.last_commit.has_value() &&
      now - *c.last_commit < options.min_commit_interval) {
    return {DecisionReason::kCooldown,
            absl::StrCat("last placement ", Text(now - *c.last_commit), " ago, must be ",
                         Text(options.min_commit_interval))};
  }
  return due;
}

}  // namespace advisor
