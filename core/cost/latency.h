#ifndef ADVISOR_CORE_COST_LATENCY_H_
#define ADVISOR_CORE_COST_LATENCY_H_

#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "core/cost/evaluate.h"
#include "core/model/deployment.h"
#include "core/model/model_spec.h"
#include "core/model/topology.h"

namespace advisor {

// What one layer of MoE takes, modelled, from a deployment's time model:
//   layer = slowest link + slowest GPU
//   slowest link = max(padded exchange, hand-out)
//     padded exchange = (nodes - 1) * largest message * bytes per visit / internode bandwidth:
//       kernels pad the message of every pair of nodes to the largest, so each node sends and
//       receives nodes - 1 messages of that size (the paper's reason why bytes fall more than time)
//     hand-out = activations of the GPU * bytes per visit / intranode bandwidth: inside a node
//       every (token, expert) pair crosses into the expert's GPU and back
//   slowest GPU = activations of the GPU * expert time per token
// "Of the GPU": of the most loaded one. Bytes per visit: ModelSpec::BytesPerVisit, dispatch there
// and combine back. 1 GB/s is 1 byte/ns. Left out: attention, shared experts, launch and latency of
// messages, overlap of exchange with experts, and that the largest of one step exceeds the largest
// of the mean step. So it orders plans; it does not predict a clock.
struct LayerTime {
  double link_ns = 0;
  double gpu_ns = 0;   // of the most loaded GPU
  double busy_ns = 0;  // experts' time of the mean GPU
  double total_ns() const { return link_ns + gpu_ns; }
};

// Linear weights of the model: what one token in the largest message, and one activation on the
// most loaded GPU, cost.
struct LatencyWeights {
  double link_ns_per_message_token = 0;   // padded exchange
  double link_ns_per_gpu_activation = 0;  // hand-out
  double gpu_ns_per_gpu_activation = 0;
};
LatencyWeights WeightsOf(const ModelSpec& model, const Topology& topology, const TimeModel& time);

// Time of one layer per token homed anywhere. `tokens`: whole tokens played (weighted), over which
// largest_message was counted; 0: the exchange is not known and left out.
LayerTime TimeOf(const LayerFigures& layer, double tokens, const ModelSpec& model,
                 const Topology& topology, const TimeModel& time);

// Sums over layers for a decode step of time.tokens_per_gpu tokens on every GPU.
struct StepEstimate {
  double moe_ms = 0;
  double gpu_utilisation = 0;  // share of the MoE time that experts keep the mean GPU busy
};
// Unset where nothing was played, or bytes (hidden_size) or whole tokens are not known.
std::optional<StepEstimate> EstimateStep(absl::Span<const LayerFigures> layers, double tokens,
                                         const ModelSpec& model, const Topology& topology,
                                         const TimeModel& time);

}  // namespace advisor

#endif  // ADVISOR_CORE_COST_LATENCY_H_
