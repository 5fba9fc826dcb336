#ifndef ADVISOR_CORE_COST_EVALUATE_H_
#define ADVISOR_CORE_COST_EVALUATE_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/base/parallel.h"
#include "core/model/deployment.h"
#include "core/model/figures.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor {

// How an engine picks the node that serves an expert its home does not hold.
enum class Dispatch {
  kTable,  // remote choice, else ring order
  kCover,  // what-if: a token's remote experts go to the fewest holders, greedily the node that
           // holds most of what is left, ties in ring order from home
};

struct EvaluateOptions {
  PhaseFilter phase = PhaseFilter::kDecode;
  Dispatch dispatch = Dispatch::kTable;
  std::optional<TimeModel> time_model = {};  // set: the figures have its estimates
};

// One layer of Evaluate(), in tokens and activations of the phase judged, times the requests'
// weights.
struct LayerFigures {
  double activations = 0;         // (token, expert) pairs
  double remote_activations = 0;  // of those, served away from home
  double visits = 0;              // sum over whole tokens of distinct remote nodes
  double largest_message = 0;     // tokens from one home to one other node
  double node_load = 0;  // largest over mean of served activations per GPU, by node; 0: no traffic
  double gpu_load = 0;   // the same by GPU
};

// What every function here asks of its arguments. INVALID_ARGUMENT: model shapes differ, a home is
// out of range, sizes differ, the placement breaks a rule.
absl::Status CheckPlay(const Plan& plan, const Traffic& traffic, absl::Span<const NodeId> homes);

// Plays `traffic` against `plan` with request i homed on homes[i]. Requests known by counts enter
// the activation, load and home figures in every phase. Does not set the saving ratios. A request
// counts weight times; `tokens` alone is without weights. Requests must be valid (Validate(model,
// request)). Fails as CheckPlay().
absl::StatusOr<Figures> Evaluate(const Plan& plan, const Traffic& traffic,
                                 absl::Span<const NodeId> homes, const EvaluateOptions& options);

// The same play, layer by layer, several at once where there is `parallel`.
absl::StatusOr<std::vector<LayerFigures>> EvaluateLayers(const Plan& plan, const Traffic& traffic,
                                                         absl::Span<const NodeId> homes,
                                                         const EvaluateOptions& options,
                                                         ParallelFor* parallel = nullptr);

// Evaluate() plus the saving ratios against the contract's baseline: linear placement, requests
// dealt round-robin. A ratio is unset where the baseline sends nothing (one node, or no whole
// tokens).
absl::StatusOr<Figures> EvaluateWithBaseline(const Plan& plan, const Traffic& traffic,
                                             absl::Span<const NodeId> homes,
                                             const EvaluateOptions& options);

// The baseline's own figures on the same requests (table dispatch).
absl::StatusOr<Figures> EvaluateLinearBaseline(const ModelSpec& model, const Topology& topology,
                                               const Traffic& traffic, PhaseFilter phase,
                                               const std::optional<TimeModel>& time_model = {});

// The baseline's plan: LinearPlacement() and nothing else. `topology` must hold every expert.
Plan BaselinePlan(const ModelSpec& model, const Topology& topology);

// The i-th request on node i modulo nodes.
std::vector<NodeId> DealRoundRobin(size_t requests, int nodes);

// Distinct nodes other than `home` that a token with experts ids[0 .. top_k) is sent to. `serve`:
// ServeTable::ServeRow.
inline int RemoteVisits(const uint16_t* ids, int top_k, const int16_t* serve, int home) {
  uint64_t nodes = 0;
  for (int i = 0; i < top_k; ++i) {
    nodes |= uint64_t{1} << serve[ids[i]];
  }
  return __builtin_popcountll(nodes & ~(uint64_t{1} << home));
}

}  // namespace advisor

#endif  // ADVISOR_CORE_COST_EVALUATE_H_
