#include "core/cost/latency.h"

#include <algorithm>

namespace advisor {

LatencyWeights WeightsOf(const ModelSpec& model, const Topology& topology, const TimeModel& time) {
  const double bytes = model.BytesPerVisit();
  return {(topology.node_count() - 1) * bytes / time.internode_gbytes_per_s,
          bytes / time.intranode_gbytes_per_s, time.expert_ns_per_token};
}

LayerTime TimeOf(const LayerFigures& layer, double tokens, const ModelSpec& model,
                 const Topology& topology, const TimeModel& time) {
  const LatencyWeights weights = WeightsOf(model, topology, time);
  const double per_gpu = double(model.top_k) / topology.gpu_count();  // activations, of one token
  const double on_hottest = layer.gpu_load * per_gpu;
  const double message = tokens > 0 ? layer.largest_message / tokens : 0;
  LayerTime out;
  out.link_ns = std::max(weights.link_ns_per_message_token * message,
                         weights.link_ns_per_gpu_activation * on_hottest);
  out.gpu_ns = weights.gpu_ns_per_gpu_activation * on_hottest;
  out.busy_ns = weights.gpu_ns_per_gpu_activation * per_gpu;
  return out;
}

std::optional<StepEstimate> EstimateStep(absl::Span<const LayerFigures> layers, double tokens,
                                         const ModelSpec& model, const Topology& topology,
                                         const TimeModel& time) {
  if (!(tokens > 0) || !(model.BytesPerVisit() > 0)) {
    return std::nullopt;
  }
  double total = 0, busy = 0;
  for (const LayerFigures& layer : layers) {
    const LayerTime of_layer = TimeOf(layer, tokens, model, topology, time);
    total += of_layer.total_ns();
    busy += of_layer.busy_ns;
  }
  const double step_tokens = double(time.tokens_per_gpu) * topology.gpu_count();
  return StepEstimate{total * step_tokens * 1e-6, busy / total};
}

}  // namespace advisor
