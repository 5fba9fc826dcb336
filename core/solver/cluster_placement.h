#ifndef ADVISOR_CORE_SOLVER_CLUSTER_PLACEMENT_H_
#define ADVISOR_CORE_SOLVER_CLUSTER_PLACEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/topology.h"
#include "core/solver/layer_traffic.h"

namespace advisor {

// One layer made of expert clusters.
struct ClusterPlacement {
  std::vector<int16_t> row;     // [slots]
  std::vector<int16_t> choice;  // [nodes (home), experts] as in RemoteChoice
};

enum class Copies { kFirst, kAll };

// Puts clusters[e], the cluster of expert e as ClusterExperts() gives it, on nodes. Cluster c
// starts on node c; clusters are exchanged between nodes of one shape while that raises the demand
// served at home. kAll: spare slots hold local copies (AddLocalCopies, which keeps nodes under
// `load_cap`). A copy serves its own node only; other nodes send to the expert's cluster, where its
// companions are. Inside a node copies are packed on GPUs by load.
ClusterPlacement PlaceClusters(const LayerTraffic& traffic, absl::Span<const int> clusters,
                               const Topology& topology, Copies copies, double load_cap);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_CLUSTER_PLACEMENT_H_
