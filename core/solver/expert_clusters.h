#ifndef ADVISOR_CORE_SOLVER_EXPERT_CLUSTERS_H_
#define ADVISOR_CORE_SOLVER_EXPERT_CLUSTERS_H_

#include <vector>

#include "absl/types/span.h"
#include "core/model/topology.h"
#include "core/solver/token_pool.h"

namespace advisor {

// What pairwise methods see of one layer.
struct Coactivation {
  int experts = 0;
  // [experts, experts] weight of the tokens that chose both; diagonal 0.
  std::vector<double> together;
  std::vector<double> load;  // [experts] weight of the tokens, and of the sums, that chose it
};
Coactivation CoactivationOf(const TokenPool& pool, int layer);

// First copies that each node holds: its share of the slots, the parts of a whole going to the
// largest remainders. Sums to `experts`.
std::vector<int> FirstCopies(const Topology& topology, int experts);

// The cluster of every expert, clusters[c] being sized for node c: sizes[c] experts. Experts by
// falling load join the cluster that holds most of their co-activation; then pairs are swapped
// while that raises the co-activation inside clusters.
//
// Load rule: the load of a cluster per GPU of its node stays within `load_cap` of the mean where
// there is room for it, and no swap raises the larger of the two loads it changes above both the
// cap and what it was.
std::vector<int> ClusterExperts(const Coactivation& layer, const Topology& topology,
                                absl::Span<const int> sizes, double load_cap);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_EXPERT_CLUSTERS_H_
