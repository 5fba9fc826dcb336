#ifndef ADVISOR_CORE_COST_BREAKDOWN_H_
#define ADVISOR_CORE_COST_BREAKDOWN_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/cost/evaluate.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor {

// Where the figures of Evaluate() come from. All functions take what Evaluate() takes and fail as
// it does.

// What a plan saves on one domain's requests, which are homed, and in the baseline dealt, as they
// are among all requests.
struct DomainSaving {
  std::string domain;
  double tokens = 0;                   // weighted, known whole, in the phase judged
  double visits_per_token_layer = 0;   // remote
  std::optional<double> saving_ratio;  // unset: the baseline sends nothing
};
// One entry per label, sorted by label.
absl::StatusOr<std::vector<DomainSaving>> SavingByDomain(const Plan& plan, const Traffic& traffic,
                                                         absl::Span<const NodeId> homes,
                                                         const EvaluateOptions& options);

// EvaluateLayers() of the contract's baseline: linear placement, requests dealt round-robin.
absl::StatusOr<std::vector<LayerFigures>> EvaluateLinearLayers(const ModelSpec& model,
                                                               const Topology& topology,
                                                               const Traffic& traffic,
                                                               PhaseFilter phase);

// Activations by tokens' home, weighted: [layers, nodes, experts].
std::vector<double> DemandByHome(const Traffic& traffic, absl::Span<const NodeId> homes, int nodes,
                                 PhaseFilter phase);

// What one expert of one layer makes cross the network between two nodes. A visit that carries
// several experts is parted evenly among them, so that the flows of a plan sum to its visits.
struct Flow {
  int layer = 0, expert = 0;
  NodeId home, server;
  double activations = 0;  // (token, expert) pairs, weighted
  double visits = 0;       // 0 for traffic known by sums
  double share = 0;        // of all remote visits; of remote activations where there are no visits
};
// The `top` flows with the most visits (then activations, then layer, expert, home), by the plan's
// table.
absl::StatusOr<std::vector<Flow>> DearestFlows(const Plan& plan, const Traffic& traffic,
                                               absl::Span<const NodeId> homes, PhaseFilter phase,
                                               size_t top);

// Visits of `layer` were `expert` held by the nodes of the mask `holders` and all else as it is:
// what each of its copies saves, and what one more would. A remote choice that holds no more falls
// back to ring order. INVALID_ARGUMENT also: layer, expert or mask out of range.
absl::StatusOr<double> VisitsWithHolders(const Plan& plan, const Traffic& traffic,
                                         absl::Span<const NodeId> homes, PhaseFilter phase,
                                         LayerId layer, ExpertId expert, uint64_t holders);

}  // namespace advisor

#endif  // ADVISOR_CORE_COST_BREAKDOWN_H_
