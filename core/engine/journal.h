#ifndef ADVISOR_CORE_ENGINE_JOURNAL_H_
#define ADVISOR_CORE_ENGINE_JOURNAL_H_

#include <deque>
#include <string>

#include "absl/time/time.h"
#include "core/engine/effect.h"
#include "core/engine/status.h"
#include "core/policy/verdict.h"

namespace advisor {

// One call of Engine::Step(): when it is, and what is to be done.
struct Turn {
  absl::Time now;
  Effects& effects;
};

// What was decided for one deployment and why, with the counters beside it.
class Journal {
 public:
  explicit Journal(std::string deployment) : deployment_(std::move(deployment)) {}

  // Records, counts and logs a decision. `position`: what was published.
  void Decide(const Verdict& verdict, Position position, Turn& turn);
  // The same for a state of waiting that is asked about again and again: only when the reason
  // changes.
  void Wait(const Verdict& verdict, Turn& turn);
  // The wait is over; the next one is recorded again.
  void StopWaiting() { waiting_for_ = DecisionReason::kNone; }
  void Log(bool warning, std::string text, Turn& turn) const;

  const std::deque<DecisionRecord>& decisions() const { return decisions_; }
  DeploymentCounters counters;

 private:
  static constexpr size_t kKept = 64;

  void Record(const Verdict& verdict, Position position, absl::Time now);

  std::string deployment_;
  std::deque<DecisionRecord> decisions_;  // newest first
  DecisionReason waiting_for_ = DecisionReason::kNone;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_JOURNAL_H_
