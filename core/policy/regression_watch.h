#ifndef ADVISOR_CORE_POLICY_REGRESSION_WATCH_H_
#define ADVISOR_CORE_POLICY_REGRESSION_WATCH_H_

#include <cstdint>
#include <optional>

#include "core/model/plan.h"
#include "core/policy/options.h"
#include "core/policy/verdict.h"

namespace advisor {

// Measured against predicted saving of the placement in force.
class RegressionWatch {
 public:
  // A placement has come into force. No prediction: it is measured, not judged.
  void Start(Position position, std::optional<double> predicted_saving);

  // What tokens known whole did under it, as agents report.
  void Add(uint64_t tokens, double remote_visits, double baseline_remote_visits);

  // The traffic is no longer what was predicted for: a re-solve is the answer, not the old content.
  void StartOver() {
    check_ = {};
    failed_checks_ = 0;
  }

  // kRollForward once two checks running fell short. Call after Add(). A check lasts until half of
  // the window is new, so that after two of them a drift of the traffic would have shown: `arrived`
  // counts all tokens that ever came into the window, `window_tokens` are in it.
  std::optional<Verdict> Check(const PolicyOptions& options, uint64_t arrived,
                               uint64_t window_tokens);

  const Position& position() const { return position_; }
  // 1 - remote visits / baseline's since it came into force.
  std::optional<double> measured_saving() const { return Saving(all_); }

 private:
  struct Sums {
    uint64_t tokens = 0;
    double visits = 0, baseline = 0;
    std::optional<uint64_t> arrived_before;  // when the first token was added
  };
  static std::optional<double> Saving(const Sums& sums);

  Position position_;
  std::optional<double> predicted_;
  Sums all_, check_;
  int failed_checks_ = 0;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_REGRESSION_WATCH_H_
