#ifndef ADVISOR_CORE_POLICY_SOLVE_TRIGGER_H_
#define ADVISOR_CORE_POLICY_SOLVE_TRIGGER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "core/policy/options.h"
#include "core/policy/verdict.h"

namespace advisor {

// Placements in a row that engines were asked to stage in vain, whoever it was that held each up:
// two broken nodes that take turns are no better than one.
struct Aborts {
  int in_a_row = 0;  // since the last commit, or since an operator wanted another try
  absl::Time last;
  std::string why;  // of the last one, naming the actor or node
};

// What is known when the question is whether to solve now.
struct SolveConditions {
  bool frozen = false;
  bool rollout_running = false;
  bool has_plan = false;          // something was published, and its topology still stands
  bool topology_changed = false;  // something was published, for another topology
  double coverage = 0;            // share of nodes whose reporters are live
  absl::Time coverage_low_since = absl::InfiniteFuture();
  uint64_t window_tokens = 0;
  bool filling = false;             // a reporter has tokens, but none in the window yet
  uint64_t tokens_since_solve = 0;  // that have come into the window since the last solve
  double drift = 0;                 // against the counts last solved for
  // For how many tokens it has been above the threshold, and how long it must be (DriftHistory).
  uint64_t drifted_tokens = 0, lasting_tokens = 0;
  std::optional<absl::Time> last_solve;   // started
  std::optional<absl::Time> last_commit;  // of a placement
  Aborts aborts;
};

// The pause that engines are spared after aborts, where it is not over yet; the detail names what
// held the last one up. It is stage_timeout, doubles with every further abort in a row, and ends at
// max_solve_interval: every try makes engines load what they then drop.
std::optional<Verdict> PauseAfterAborts(const Aborts& aborts, const PolicyOptions& options,
                                        absl::Time now);

// Solve for this reason, or do not, and why. A solve that changed nothing is not repeated on the
// same traffic: unless the topology changed, a quarter of the window must be new.
Verdict WhenToSolve(const SolveConditions& conditions, const PolicyOptions& options,
                    absl::Time now);

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_SOLVE_TRIGGER_H_
