#ifndef ADVISOR_CORE_SOLVER_LAYER_LIMITS_H_
#define ADVISOR_CORE_SOLVER_LAYER_LIMITS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "core/model/topology.h"
#include "core/solver/layer_latency.h"
#include "core/solver/layer_traffic.h"

namespace advisor {

// What a layer must not exceed, and what exceeding costs beside a remote visit.
struct LayerLimits {
  double node_load_cap = 1.10;  // served activations per GPU of a node, over the mean
  double gpu_load_cap = 1.15;   // served activations of a GPU, over the mean
  // Remote visits that one activation above a cap is worth. The search raises it.
  double load_price = 1;
  // Remote visits, in token weight, that one slot receiving an expert new to its GPU is worth.
  double move_price = 0;
  int max_moves = 1 << 30;  // slots that may receive an expert new to their GPU
  // Set: modelled time takes the place of visits in what a layer costs.
  std::optional<LatencyWeights> latency;
};

// The caps in activations.
struct LoadLimits {
  LoadLimits(const LayerLimits& caps, const LayerTraffic& traffic, const Topology& topology);

  std::vector<int64_t> node, gpu;  // [load_sets, nodes], [load_sets, gpus]
};

// What a load has above its limit.
inline int64_t Over(int64_t load, int64_t limit) { return load > limit ? load - limit : 0; }
int64_t Excess(const std::vector<int64_t>& load, const std::vector<int64_t>& limit);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_LIMITS_H_
