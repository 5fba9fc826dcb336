#ifndef ADVISOR_CORE_SOLVER_SOLVER_H_
#define ADVISOR_CORE_SOLVER_SOLVER_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/base/parallel.h"
#include "core/cost/evaluate.h"
#include "core/model/deployment.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor {

enum class Method { kJoint, kLinear, kEplb, kPaper, kGreedyCoactivation };
enum class Objective { kInternodeBytes, kBalance, kLatency };
// An iteration budget, not a time: the same seed gives the same plan on any machine and any number
// of threads.
enum class Effort { kQuick, kStandard, kThorough };

const char* ToString(Method method);  // "joint", "linear", "eplb", "paper", "greedy-coactivation"
const char* ToString(Objective objective);  // "internode_bytes", "balance", "latency"
const char* ToString(Effort effort);        // "quick", "standard", "thorough"
std::optional<Method> ParseMethod(const std::string& text);
std::optional<Objective> ParseObjective(const std::string& text);
std::optional<Effort> ParseEffort(const std::string& text);

struct SolveParams {
  Method method = Method::kJoint;
  Objective objective = Objective::kInternodeBytes;
  Effort effort = Effort::kStandard;
  PhaseFilter phase = PhaseFilter::kAll;  // traffic whose bytes are minimised
  // Per layer, on the solver's own traffic: most loaded node over mean.
  double node_load_cap = 1.10;
  double gpu_load_cap = 1.15;  // the same for GPUs
  // Slots that receive an expert their GPU did not hold, over all slots; needs `in_force`.
  double max_moved_fraction = 1.0;
  // What the engine does, and what joint searches for (objective latency: for the table all the
  // same).
  Dispatch dispatch = Dispatch::kTable;
  uint64_t seed = 1;
  std::function<bool()> should_stop;  // outer time limit; polled now and then. Unset: none
};

// What to solve. Immutable while a solve runs.
struct Problem {
  ModelSpec model;
  Topology topology;
  int microbatches = 1;
  std::optional<TimeModel> time_model;
  Traffic traffic;  // requests with domains; whole tokens, or counts only (co-activation is then
                    // not seen)
  std::optional<Placement> in_force;  // what engines run, to repair from; unset: nothing placed yet
};

enum class Termination {
  kBudgetSpent,  // the effort's iterations are done: the normal end
  kTimeLimit,    // should_stop() struck; best so far
  kNothingToDo,  // no traffic, or one node: the start is returned
};

struct SolveResult {
  Placement placement;
  RemoteChoice remote_choice;  // empty: ring order
  Grouping grouping;           // empty for methods that deal requests round-robin
  // Of problem.traffic.requests, as the solver grouped them (all at once).
  std::vector<NodeId> homes;
  Bounds bounds;
  std::vector<int> layers_over_cap;
  Termination termination = Termination::kBudgetSpent;
  int64_t iterations = 0;
};

// Solves by params.method. The result passes ValidatePlacement; a budget or a cap that cannot be
// met is a result, not an error. INVALID_ARGUMENT: the problem or a parameter is malformed.
// FAILED_PRECONDITION: the topology cannot hold every expert (the text gives the missing slots).
// Deterministic: equal problem, parameters and seed give equal results for any `parallel` and any
// order of threads.
absl::StatusOr<SolveResult> Solve(const Problem& problem, const SolveParams& params,
                                  ParallelFor& parallel);

// Solve() on `train`, with a validated Plan around the result: predicted figures measured on
// `holdout` requests placed one by one by Assigner (in-sample figures as `fit`), bounds, moves
// against `previous` (may be null). What advisorctl and advisord both call. `problem.traffic` is
// the training traffic.
absl::StatusOr<Plan> SolvePlan(const Problem& problem, const Traffic& holdout,
                               const SolveParams& params, const Plan* previous,
                               ParallelFor& parallel);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_SOLVER_H_
