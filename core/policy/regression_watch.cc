#include "core/policy/regression_watch.h"

#include "absl/strings/str_format.h"

namespace advisor {

void RegressionWatch::Start(Position position, std::optional<double> predicted_saving) {
  *this = {};
  position_ = position;
  predicted_ = predicted_saving;
}

void RegressionWatch::Add(uint64_t tokens, double remote_visits, double baseline_remote_visits) {
  for (Sums* sums : {&all_, &check_}) {
    sums->tokens += tokens;
    sums->visits += remote_visits;
    sums->baseline += baseline_remote_visits;
  }
}

std::optional<double> RegressionWatch::Saving(const Sums& sums) {
  return sums.baseline > 0 ? std::optional<double>(1 - sums.visits / sums.baseline) : std::nullopt;
}

std::optional<Verdict> RegressionWatch::Check(const PolicyOptions& options, uint64_t arrived,
                                              uint64_t window_tokens) {
  if (!check_.arrived_before.has_value()) {
    check_.arrived_before = arrived;
  }
  const std::optional<double> measured = Saving(check_);
  if (!predicted_.has_value() || *predicted_ <= 0 || !measured.has_value() ||
      check_.tokens < options.regression_tokens ||
      arrived - *check_.arrived_before < window_tokens / 2) {
    return std::nullopt;
  }
  const uint64_t tokens = check_.tokens;
  check_ = {};
  failed_checks_ = *measured < options.regression_margin * *predicted_ ? failed_checks_ + 1 : 0;
  if (failed_checks_ < 2) {
    return std::nullopt;
  }
  failed_checks_ = 0;
  return Verdict{
      DecisionReason::kRollForward,
      absl::StrFormat("measured saving %.1f %% over %d tokens, predicted %.1f %%, must "
                      "hold %.0f %% of it",
                      100 * *measured, tokens, 100 * *predicted_, 100 * options.regression_margin)};
}

}  // namespace advisor
