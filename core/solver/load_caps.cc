#include "core/solver/load_caps.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "core/cost/evaluate.h"

namespace advisor {
namespace {

// Serving both phases, the share of linear's own load above the mean that joint may have: loads on
// requests not seen come out higher than on those searched over, and must not end above linear's.
constexpr double kShareOfLinearExcess = 0.4;
// Where linear is level already, a cap below this costs more saving than it guards; at 1.08 loads
// on the real traces end above linear's.
constexpr double kTightestCap = 1.07;

}  // namespace

LoadCaps LoadCapsOf(const Problem& problem, const SolveParams& params) {
  LoadCaps caps{params.node_load_cap, params.gpu_load_cap};
  if (params.phase != PhaseFilter::kAll || params.objective != Objective::kInternodeBytes) {
    return caps;
  }
  const auto tighten = [](double& cap, double linear) {
    if (linear > 0) {
      cap = std::min(cap, std::max(kTightestCap, 1 + kShareOfLinearExcess * (linear - 1)));
    }
  };
  for (PhaseFilter phase : {PhaseFilter::kPrefill, PhaseFilter::kDecode}) {
    const absl::StatusOr<Figures> linear =
        EvaluateLinearBaseline(problem.model, problem.topology, problem.traffic, phase);
    if (linear.ok()) {
      tighten(caps.node, linear->node_load.mean);
      tighten(caps.gpu, linear->gpu_load.mean);
    }
  }
  return caps;
}

}  // namespace advisor
