#include "core/solver/solver.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/solver/bounds.h"
#include "core/solver/methods.h"

namespace advisor {
namespace {

absl::Status CheckRequest(const ModelSpec& model, const Request& r) {
  const size_t layers = model.moe_layers;
  const size_t want = r.counts_only() ? layers * model.experts : r.tokens * layers * model.top_k;
  const size_t got = r.counts_only() ? r.counts.size() : r.experts.size();
  if (got != want || r.tokens < 0 || r.prompt_tokens < 0 || r.prompt_tokens > r.tokens) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "request \"%s\": %d values for %d tokens, %d of them prompt, must be %d values", r.id, got,
        r.tokens, r.prompt_tokens, want));
  }
  if (!r.experts.empty()) {
    uint16_t largest = 0;  // not by std::max_element: that compiles to one value at a time
    for (uint16_t e : r.experts) {
      largest = std::max(largest, e);
    }
    if (largest >= model.experts) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "request \"%s\": expert %d, must be below %d", r.id, largest, model.experts));
    }
  }
  if (!(r.weight > 0) || !std::isfinite(r.weight)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request \"%s\": weight %g, must be greater than 0", r.id, r.weight));
  }
  return absl::OkStatus();
}

absl::Status CheckInForce(const Problem& problem) {
  const Placement& p = *problem.in_force;
  if (p.layers() != problem.model.moe_layers || p.slots() != problem.topology.slot_count()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "placement in force is [%d, %d], must be [layers, slots] = [%d, %d]; carry it over first",
        p.layers(), p.slots(), problem.model.moe_layers, problem.topology.slot_count()));
  }
  for (int16_t e : p.cells()) {
    if (e < kEmptySlot || e >= problem.model.experts) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "placement in force names expert %d, must be -1 .. %d", e, problem.model.experts - 1));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckRequests(const Problem& problem, ParallelFor& parallel) {
  const std::vector<Request>& requests = problem.traffic.requests;
  std::vector<absl::Status> checks(requests.size());
  parallel.Run(static_cast<int>(requests.size()),
               [&](int r) { checks[r] = CheckRequest(problem.model, requests[r]); });
  for (const absl::Status& check : checks) {
    RETURN_IF_ERROR(check);
  }
  return absl::OkStatus();
}

absl::Status CheckProblem(const Problem& problem, ParallelFor& parallel) {
  Deployment deployment;
  deployment.name = "problem";
  deployment.model = problem.model;
  deployment.topology = problem.topology;
  deployment.microbatches = problem.microbatches;
  deployment.time_model = problem.time_model;
  RETURN_IF_ERROR(Validate(deployment));
  const ModelSpec& seen = problem.traffic.model;
  if (seen.moe_layers != problem.model.moe_layers || seen.experts != problem.model.experts ||
      seen.top_k != problem.model.top_k) {
    return absl::InvalidArgumentError(
        absl::StrFormat("traffic has [layers, experts, top_k] = [%d, %d, %d], the model [%d, %d, "
                        "%d]; give traffic of this model",
                        seen.moe_layers, seen.experts, seen.top_k, problem.model.moe_layers,
                        problem.model.experts, problem.model.top_k));
  }
  RETURN_IF_ERROR(CheckRequests(problem, parallel));
  return problem.in_force.has_value() ? CheckInForce(problem) : absl::OkStatus();
}

absl::Status CheckParams(const Problem& problem, const SolveParams& params) {
  for (double cap : {params.node_load_cap, params.gpu_load_cap}) {
    if (!(cap >= 1) || !std::isfinite(cap)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("load cap is %g, must be at least 1 (largest load over mean)", cap));
    }
  }
  if (!(params.max_moved_fraction >= 0 && params.max_moved_fraction <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("max_moved_fraction is %g, must be 0 .. 1", params.max_moved_fraction));
  }
  if (params.objective == Objective::kLatency && !problem.time_model.has_value()) {
    return absl::InvalidArgumentError(
        "objective latency needs the deployment's time_model (bandwidths and expert time); add it");
  }
  if (params.objective == Objective::kLatency && !(problem.model.BytesPerVisit() > 0)) {
    return absl::InvalidArgumentError(
        "objective latency needs model.hidden_size, which is 0: bytes on links are not known; add "
        "it");
  }
  return absl::OkStatus();
}

absl::StatusOr<SolveResult> SolveBy(const Problem& problem, const SolveParams& params,
                                    ParallelFor& parallel) {
  switch (params.method) {
    case Method::kLinear:
      return SolveLinear(problem, params, parallel);
    case Method::kEplb:
      return SolveEplb(problem, params, parallel);
    case Method::kJoint:
      return SolveJoint(problem, params, parallel);
    case Method::kPaper:
      return SolvePaper(problem, params, parallel);
    case Method::kGreedyCoactivation:
      return SolveGreedyCoactivation(problem, params, parallel);
  }
  return absl::InvalidArgumentError("unknown method");
}

// The result as a plan, for the checks and figures that plans have.
Plan PlanOf(const Problem& problem, const SolveResult& result) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  plan.remote_choice = result.remote_choice;
  plan.grouping = result.grouping;
  return plan;
}

// Loads that meet a cap but for rounding are not over it.
constexpr double kRounding = 1e-9;

}  // namespace

absl::StatusOr<SolveResult> Solve(const Problem& problem, const SolveParams& params,
                                  ParallelFor& parallel) {
  RETURN_IF_ERROR(CheckProblem(problem, parallel));
  RETURN_IF_ERROR(CheckParams(problem, params));
  ASSIGN_OR_RETURN(SolveResult result, SolveBy(problem, params, parallel));
  if (!result.grouping.empty()) {
    result.grouping.microbatches = problem.microbatches;
  }
  const Plan plan = PlanOf(problem, result);
  if (absl::Status valid = Validate(plan); !valid.ok()) {
    return absl::InternalError(absl::StrCat("method ", ToString(params.method),
                                            " returned an invalid plan: ", valid.ToString()));
  }
  const EvaluateOptions options{params.phase, params.dispatch};
  absl::StatusOr<std::vector<LayerFigures>> layers =
      EvaluateLayers(plan, problem.traffic, result.homes, options, &parallel);
  if (!layers.ok()) {
    return absl::InternalError(absl::StrCat("method ", ToString(params.method),
                                            " returned wrong homes: ", layers.status().ToString()));
  }
  for (size_t l = 0; l < layers->size(); ++l) {
    if ((*layers)[l].node_load > params.node_load_cap * (1 + kRounding) ||
        (*layers)[l].gpu_load > params.gpu_load_cap * (1 + kRounding)) {
      result.layers_over_cap.push_back(static_cast<int>(l));
    }
  }
  result.bounds = LowerBounds(problem, params, result.homes, parallel);
  result.bounds.gap_ratio = GapRatio(problem, params, result.bounds, *layers);
  return result;
}

}  // namespace advisor
