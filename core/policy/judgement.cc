#include "core/policy/judgement.h"

#include <string>

#include "absl/strings/str_format.h"
#include "core/cost/evaluate.h"
#include "core/grouping/assigner.h"

namespace advisor {
namespace {

// What the objective counts, per token: inter-node bytes; remote activations, each taken for a
// visit, where no token is known whole; the busiest GPU's load for `balance`.
struct Cost {
  double value = 0;
  double bytes_per_token = 0;
  const char* unit = "";
};

Cost CostOf(const ModelSpec& model, const Figures& figures, Objective objective) {
  if (objective == Objective::kBalance) {
    return {figures.gpu_load.mean, 0, "GPU load"};
  }
  const double bytes_per_layer = model.moe_layers * model.BytesPerVisit();
  if (figures.remote_visits_per_token_layer.has_value()) {
    const double visits = *figures.remote_visits_per_token_layer;
    return {visits, visits * bytes_per_layer, "remote visits per token and layer"};
  }
  const double activations = figures.remote_activation_ratio * model.top_k;
  return {activations, activations * bytes_per_layer, "remote activations per token and layer"};
}

// Does the saving pay for the moves?
Verdict JudgeGain(const Candidate& c, const SolveParams& params, const PolicyOptions& options) {
  const ModelSpec& model = c.plan->model;
  const Cost next = CostOf(model, *c.figures, params.objective);
  const Cost now = CostOf(model, *c.figures_in_force, params.objective);
  const double gain = now.value > 0 ? 1 - next.value / now.value : 0;
  if (gain < options.min_gain) {
    return {DecisionReason::kNoGain,
            absl::StrFormat("gain %.1f %% below %.1f %%: %.3f %s, in force %.3f", 100 * gain,
                            100 * options.min_gain, next.value, next.unit, now.value)};
  }
  const int64_t moves = SlotsToFill(c.in_force, *c.plan);
  const double moved = static_cast<double>(moves) * static_cast<double>(model.expert_bytes);
  const double saved = (now.bytes_per_token - next.bytes_per_token) * options.plan_life_tokens;
  if (params.objective != Objective::kBalance && saved < options.gain_over_move_cost * moved) {
    return {DecisionReason::kGainBelowMoveCost,
            absl::StrFormat("gain %.1f %% saves %.4g bytes over %.3g tokens, must exceed %.3g x "
                            "%.4g bytes of %d moves",
                            100 * gain, saved, options.plan_life_tokens,
                            options.gain_over_move_cost, moved, moves)};
  }
  return {
      c.due.reason,
      absl::StrFormat("%s; gain %.1f %% (%.3f %s, before %.3f), %d moves, %.4g bytes", c.due.detail,
                      100 * gain, next.value, next.unit, now.value, moves, moved)};
}

}  // namespace

absl::StatusOr<std::optional<Figures>> FiguresOn(const Plan& plan, const Traffic& holdout,
                                                 const SolveParams& params) {
  if (holdout.requests.empty()) {
    return std::nullopt;
  }
  absl::StatusOr<Figures> figures =
      Evaluate(plan, holdout, AssignInOrder(plan, holdout), {params.phase, params.dispatch});
  if (!figures.ok()) {
    return figures.status();
  }
  return std::optional<Figures>(*std::move(figures));
}

absl::StatusOr<std::optional<Figures>> LinearFiguresOn(const Plan& plan, const Traffic& holdout,
                                                       const SolveParams& params) {
  if (holdout.requests.empty()) {
    return std::nullopt;
  }
  absl::StatusOr<Figures> figures =
      EvaluateLinearBaseline(plan.model, plan.topology, holdout, params.phase);
  if (!figures.ok()) {
    return figures.status();
  }
  return std::optional<Figures>(*std::move(figures));
}

int64_t SlotsToFill(const Plan* in_force, const Plan& next) {
  const bool comparable = in_force != nullptr && in_force->topology == next.topology;
  return MovedSlots(next.topology,
                    comparable ? in_force->placement : LinearPlacement(next.model, next.topology),
                    next.placement);
}

Verdict Judge(const Candidate& c, const SolveParams& params, const PolicyOptions& options) {
  if (c.frozen) {
    return {DecisionReason::kFrozen, "publishing was stopped while solving"};
  }
  if (c.quarantined) {
    return {DecisionReason::kQuarantined,
            absl::StrFormat("content %016x was refused before", PlacementHash(*c.plan))};
  }
  const bool comparable = c.in_force != nullptr && c.in_force->topology == c.plan->topology;
  if (comparable && PlacementHash(*c.in_force) == PlacementHash(*c.plan)) {
    return {DecisionReason::kSameContent,
            absl::StrFormat("the solve found the placement in force again (%d.%d)",
                            c.in_force->position.epoch, c.in_force->position.revision)};
  }
  if (c.forced || c.due.reason == DecisionReason::kTopologyChange) {
    return {c.due.reason,
            absl::StrFormat("%s; %d moves", c.due.detail, SlotsToFill(c.in_force, *c.plan))};
  }
  const int64_t slots = int64_t{c.plan->model.moe_layers} * c.plan->topology.slot_count();
  const int64_t moves = SlotsToFill(c.in_force, *c.plan);
  if (comparable && static_cast<double>(moves) > options.max_moved_fraction * slots + 0.5) {
    return {DecisionReason::kValidationFailed,
            absl::StrFormat("%d of %d slots move, at most %.0f %% may", moves, slots,
                            100 * options.max_moved_fraction)};
  }
  if (!c.figures.has_value() || !c.figures_in_force.has_value()) {
    return {DecisionReason::kTooLittleTraffic,
            "no requests were held out to judge by: the window holds too few"};
  }
  return JudgeGain(c, params, options);
}

}  // namespace advisor
