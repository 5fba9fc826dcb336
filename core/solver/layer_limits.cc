#include "core/solver/layer_limits.h"

namespace advisor {

LoadLimits::LoadLimits(const LayerLimits& caps, const LayerTraffic& traffic,
                       const Topology& topology) {
  const int gpus = topology.gpu_count();
  for (int set = 0; set < traffic.load_sets; ++set) {
    const double mean = double(traffic.total_demand[set]) / gpus;
    for (int n = 0; n < topology.node_count(); ++n) {
      node.push_back(static_cast<int64_t>(caps.node_load_cap * mean * topology.gpus_on(NodeId(n))));
    }
    gpu.insert(gpu.end(), gpus, static_cast<int64_t>(caps.gpu_load_cap * mean));
  }
}

int64_t Excess(const std::vector<int64_t>& load, const std::vector<int64_t>& limit) {
  int64_t sum = 0;
  for (size_t i = 0; i < load.size(); ++i) {
    sum += Over(load[i], limit[i]);
  }
  return sum;
}

}  // namespace advisor
