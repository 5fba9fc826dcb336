#include "core/solver/start_rows.h"

#include <cstddef>
#include <utility>

#include "core/solver/expert_clusters.h"
#include "core/solver/layer_start.h"

namespace advisor {

StartRows::StartRows(const TokenPool& pool, const Topology& topology, double node_load_cap)
    : pool_(pool),
      topology_(topology),
      node_load_cap_(node_load_cap),
      clusters_(pool.model->moe_layers),
      cheapest_(pool.model->moe_layers) {
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

ClusterPlacement StartRows::RowOf(Kind kind, int l, const LayerTraffic& traffic) {
  if (kind == kDemand) {
    return {StartByDemand(traffic, topology_), {}};
  }
  return PlaceClusters(traffic, kind == kGroups ? consecutive_ : ClustersOf(l), topology_,
                       Copies::kAll, node_load_cap_);
}

void StartRows::ResetToCheapest(int l, LayerState& layer) {
  if (cheapest_[l].has_value()) {
    const ClusterPlacement start = RowOf(*cheapest_[l], l, layer.traffic());
    layer.Reset(start.row, start.choice);
    return;
  }
  ClusterPlacement best;
  double least = 0;
  for (Kind kind : {kDemand, kClusters, kGroups}) {
    if (kind == kGroups && consecutive_.empty()) {
      continue;
    }
    ClusterPlacement start = RowOf(kind, l, layer.traffic());
    layer.Reset(start.row, start.choice);
    if (!cheapest_[l].has_value() || layer.Cost() < least) {
      least = layer.Cost();
      cheapest_[l] = kind;
      best = std::move(start);
    }
  }
  layer.Reset(best.row, best.choice);
}

}  // namespace advisor
