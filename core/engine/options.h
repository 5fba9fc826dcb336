#ifndef ADVISOR_CORE_ENGINE_OPTIONS_H_
#define ADVISOR_CORE_ENGINE_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"
#include "core/solver/solver.h"

namespace advisor {

// Windows close by tokens or steps, never by clocks.
struct WindowOptions {
  uint64_t bucket_tokens = 8192;  // a reporter's bucket closes once it holds so many tokens
  uint64_t bucket_steps = 1000;   // or spans so many steps
  int buckets = 8;                // closed buckets kept per reporter: the window
  int max_domains = 64;           // per deployment; later names are counted under "other"
  int sample_tokens = 4096;       // whole tokens kept per domain
  int frame_sample_tokens = 64;   // whole tokens asked of an agent per domain and frame
  uint64_t max_bytes =
      2ull << 30;  // of all windows of a deployment; formula in docs/design/0004-windows.md
};

// When to solve and when a better plan is worth its moves.
struct PolicyOptions {
  double min_coverage = 0.9;  // share of nodes whose reporters are live
  absl::Duration coverage_wait =
      absl::Minutes(5);                // after that a plan may be made with less, as advisory only
  uint64_t min_window_tokens = 16384;  // less traffic than that decides nothing
  double drift_threshold =
      0.10;  // solve again when 1 - cosine of domain-weighted counts exceeds this
  absl::Duration min_solve_interval = absl::Seconds(30);
  absl::Duration max_solve_interval = absl::Minutes(30);  // solve at least so often, drift or not
  absl::Duration min_commit_interval =
      absl::Seconds(60);  // pause between placements; spares the first adoption
  double min_gain =
      0.02;  // fewer inter-node bytes on held-out traffic, as a share of those in force
  double gain_over_move_cost =
      2.0;  // bytes saved over plan_life_tokens must exceed moved bytes by this factor
  double plan_life_tokens = 50e6;    // tokens a plan is expected to serve before the next
  double max_moved_fraction = 0.10;  // of all slots in one revision; spares the first adoption
  double holdout_share = 0.2;        // sampled requests kept from the solver to judge its result
  double regression_margin =
      0.5;  // roll forward to the old content when measured saving < margin x predicted ...
  uint64_t regression_tokens =
      8192;  // ... over at least so many tokens known whole, in two checks running
  absl::Duration stage_timeout = absl::Seconds(120);   // PREPARE without all STAGED: abort
  absl::Duration commit_resend = absl::Seconds(5);     // COMMIT or ABORT without an answer: again
  absl::Duration solve_time_limit = absl::Seconds(2);  // outer stop; best so far is used
};

struct SessionOptions {
  absl::Duration min_report_interval = absl::Milliseconds(250);
  absl::Duration max_report_interval = absl::Seconds(1);
  absl::Duration reporter_lease =
      absl::Seconds(60);  // silent for longer: its counts leave the window
  uint32_t credits = 8;
  uint32_t max_frame_bytes = 4u << 20;
  int ack_every_frames = 4;                            // acknowledge by count ...
  absl::Duration ack_delay = absl::Milliseconds(100);  // ... or by time
  absl::Duration progress_interval = absl::Seconds(10);
  absl::Duration received_timeout =
      absl::Seconds(10);  // a subscriber that does not acknowledge RECEIVED is ended
  int kept_plans = 64;
};

struct DeploymentOptions {
  WindowOptions window;
  PolicyOptions policy;
  SessionOptions session;
  SolveParams solve;  // method, objective, effort, caps, seed; phase comes from the deployment
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_OPTIONS_H_
