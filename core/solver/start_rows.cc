#include "core/solver/start_rows.h"

#include <cstddef>

#include "core/solver/expert_clusters.h"
#include "core/solver/layer_start.h"

namespace advisor {

StartRows::StartRows(const TokenPool& pool, const Topology& topology, double node_load_cap)
    : pool_(pool),
      topology_(topology),
      node_load_cap_(node_load_cap),
      clusters_(pool.model->moe_layers) {
  if (pool.model->expert_groups > 0) {
    const std::vector<int> sizes = FirstCopies(topology, pool.model->experts);
    for (size_t n = 0; n < sizes.size(); ++n) {
      consecutive_.insert(consecutive_.end(), sizes[n], static_cast<int>(n));
    }
  }
}

const std::vector<int>& StartRows::ClustersOf(int l) {
  if (clusters_[l].empty()) {
    clusters_[l] = ClusterExperts(CoactivationOf(pool_, l), topology_,
                                  FirstCopies(topology_, pool_.model->experts), node_load_cap_);
  }
  return clusters_[l];
}

void StartRows::ResetToCheapest(int l, LayerState& layer) {
  const auto of_clusters = [&](const std::vector<int>& clusters) {
    return PlaceClusters(layer.traffic(), clusters, topology_, Copies::kAll, node_load_cap_);
  };
  std::vector<ClusterPlacement> starts = {{StartByDemand(layer.traffic(), topology_), {}},
                                          of_clusters(ClustersOf(l))};
  if (!consecutive_.empty()) {
    starts.push_back(of_clusters(consecutive_));
  }
  size_t best = 0, last = 0;
  double least = 0;
  for (; last < starts.size(); ++last) {
    layer.Reset(starts[last].row, starts[last].choice);
    if (last == 0 || layer.Cost() < least) {
      least = layer.Cost();
      best = last;
    }
  }
  if (best + 1 != last) {
    layer.Reset(starts[best].row, starts[best].choice);
  }
}

}  // namespace advisor
