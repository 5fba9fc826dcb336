#ifndef ADVISOR_CORE_POLICY_OPTIONS_H_
#define ADVISOR_CORE_POLICY_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace advisor {

// When to solve and when a better plan is worth its moves.
struct PolicyOptions {
  // Share of nodes whose reporters are live. With less, nothing is solved; after coverage_wait a
  // plan may be made all the same, as advisory only.
  double min_coverage = 0.9;
  absl::Duration coverage_wait = absl::Minutes(5);
  uint64_t min_window_tokens = 16384;  // less traffic than that decides nothing
  // Solve again when 1 - cosine of the domains' counts, against those solved for, exceeds this.
  double drift_threshold = 0.10;
  absl::Duration min_solve_interval = absl::Seconds(30);
  absl::Duration max_solve_interval = absl::Minutes(30);   // solve at least so often, drift or not
  absl::Duration min_commit_interval = absl::Seconds(60);  // between placements; spares the first
  // Fewer inter-node bytes on held-out traffic, as a share of those in force.
  double min_gain = 0.02;
  // Bytes saved over plan_life_tokens must exceed moved bytes by this factor.
  double gain_over_move_cost = 2.0;
  double plan_life_tokens = 50e6;    // tokens a plan is expected to serve before the next
  double max_moved_fraction = 0.10;  // of all slots in one revision; spares the first adoption
  double holdout_share = 0.2;        // sampled requests kept from the solver to judge its result
  // Roll forward to the old content when the measured saving stays below regression_margin x the
  // predicted one in two checks running, each over at least regression_tokens tokens known whole.
  double regression_margin = 0.5;
  uint64_t regression_tokens = 8192;
  absl::Duration stage_timeout = absl::Seconds(120);   // PREPARE without all STAGED: abort
  absl::Duration commit_resend = absl::Seconds(5);     // COMMIT or ABORT without an answer: again
  absl::Duration solve_time_limit = absl::Seconds(2);  // outer stop; best so far is used
};

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_OPTIONS_H_
