#include "core/solver/cluster_placement.h"

#include <numeric>
#include <utility>

#include "core/model/ids.h"
#include "core/model/placement.h"
#include "core/solver/gpu_packing.h"
#include "core/solver/local_copies.h"

namespace advisor {
namespace {

// Activations by home and expert, [nodes, experts], in token weight.
std::vector<double> DemandOf(const TokenPool& pool, int layer, absl::Span<const NodeId> homes,
                             int nodes) {
  const int experts = pool.model->experts, top_k = pool.model->top_k;
  std::vector<double> demand(size_t(nodes) * experts, 0);
  for (const PooledToken& token : pool.tokens) {
    double* row = &demand[size_t(homes[token.request].value()) * experts];
    for (int i = 0; i < top_k; ++i) {
      row[token.experts[size_t(layer) * top_k + i]] += token.weight;
    }
  }
  for (size_t r = 0; r < homes.size(); ++r) {
    double* row = &demand[size_t(homes[r].value()) * experts];
    for (int e = 0; pool.lone_weight[r] > 0 && e < experts; ++e) {
      row[e] += double(pool.lone_weight[r]) * pool.requests[r]->counts[size_t(layer) * experts + e];
    }
  }
  return demand;
}

bool SameShape(const Topology& topology, int a, int b) {
  const std::vector<NodeSpec>& nodes = topology.nodes();
  return nodes[a].gpus == nodes[b].gpus && nodes[a].slots_per_gpu == nodes[b].slots_per_gpu;
}

// The node of every expert.
std::vector<int> MatchClusters(absl::Span<const int> clusters, const std::vector<double>& demand,
                               const Topology& topology) {
  const int nodes = topology.node_count();
  const size_t experts = clusters.size();
  std::vector<double> wish(size_t(nodes) * nodes, 0);  // [cluster, node]
  std::vector<int> size(nodes, 0);
  for (size_t e = 0; e < experts; ++e) {
    ++size[clusters[e]];
    for (int n = 0; n < nodes; ++n) {
      wish[size_t(clusters[e]) * nodes + n] += demand[n * experts + e];
    }
  }
  std::vector<int> node_of(nodes);
  std::iota(node_of.begin(), node_of.end(), 0);
  const auto at = [&](int c, int n) { return wish[size_t(c) * nodes + n]; };
  for (bool any = true; any;) {
    any = false;
    for (int a = 0; a < nodes; ++a) {
      for (int b = a + 1; b < nodes; ++b) {
        const double gain =
            at(a, node_of[b]) + at(b, node_of[a]) - at(a, node_of[a]) - at(b, node_of[b]);
        if (gain > 1e-6 && size[a] == size[b] && SameShape(topology, a, b)) {
          std::swap(node_of[a], node_of[b]);
          any = true;
        }
      }
    }
  }
  std::vector<int> first_node;
  for (int c : clusters) {
    first_node.push_back(node_of[c]);
  }
  return first_node;
}

}  // namespace

ClusterPlacement PlaceClusters(const TokenPool& pool, int layer, absl::Span<const NodeId> homes,
                               absl::Span<const int> clusters, const Topology& topology,
                               Copies copies, double load_cap) {
  const int nodes = topology.node_count(), experts = pool.model->experts;
  const std::vector<double> demand = DemandOf(pool, layer, homes, nodes);
  const std::vector<int> first_node = MatchClusters(clusters, demand, topology);
  std::vector<uint64_t> holders;
  for (int n : first_node) {
    holders.push_back(uint64_t{1} << n);
  }
  if (copies == Copies::kAll) {
    holders = AddLocalCopies(pool, layer, homes, first_node, topology, load_cap);
  }
  ClusterPlacement out;
  out.choice.assign(size_t(nodes) * experts, kRingOrder);
  std::vector<double> served(size_t(nodes) * experts, 0);
  for (int h = 0; h < nodes; ++h) {
    for (int e = 0; e < experts; ++e) {
      const bool local = holders[e] >> h & 1;
      const int server = local ? h : first_node[e];
      served[size_t(server) * experts + e] += demand[size_t(h) * experts + e];
      if (!local) {
        out.choice[size_t(h) * experts + e] = static_cast<int16_t>(server);
      }
    }
  }
  out.row = PackGpus(topology, holders, served);
  return out;
}

}  // namespace advisor
