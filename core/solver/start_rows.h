#ifndef ADVISOR_CORE_SOLVER_START_ROWS_H_
#define ADVISOR_CORE_SOLVER_START_ROWS_H_

#include <optional>
#include <vector>

#include "core/model/topology.h"
#include "core/solver/cluster_placement.h"
#include "core/solver/layer_state.h"
#include "core/solver/token_pool.h"

namespace advisor {

// Where the search of a layer starts: the cheapest of
// - every expert where its demand is (StartByDemand),
// - clusters of experts chosen together (ClusterExperts), and
// - where routing is group-limited, consecutive experts, which are whole groups: a token that may
//   use few groups pays for every group that is torn apart.
// Which kind that is changes little with homes, and pricing them all costs as much as a short
// search: what a layer's first homes decide holds for the later ones. Different layers may be asked
// for at once.
class StartRows {
 public:
  // `pool` and `topology` must outlive this.
  StartRows(const TokenPool& pool, const Topology& topology, double node_load_cap);

  // Leaves `layer`, which is layer `l`, at its start for its traffic.
  void ResetToCheapest(int l, LayerState& layer);

 private:
  enum Kind { kDemand, kClusters, kGroups };

  const std::vector<int>& ClustersOf(int l);
  ClusterPlacement RowOf(Kind kind, int l, const LayerTraffic& traffic);

  const TokenPool& pool_;
  const Topology& topology_;
  double node_load_cap_;
  std::vector<int> consecutive_;            // [experts] as clusters; empty: routing has no groups
  std::vector<std::vector<int>> clusters_;  // [layers, experts]; empty: not worked out yet
  std::vector<std::optional<Kind>> cheapest_;  // [layers]
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_START_ROWS_H_
