#include "core/solver/cluster_placement.h"

#include <numeric>
#include <utility>

#include "core/model/ids.h"
#include "core/model/placement.h"
#include "core/solver/gpu_packing.h"
#include "core/solver/local_copies.h"

namespace advisor {
namespace {

bool SameShape(const Topology& topology, int a, int b) {
  const std::vector<NodeSpec>& nodes = topology.nodes();
  return nodes[a].gpus == nodes[b].gpus && nodes[a].slots_per_gpu == nodes[b].slots_per_gpu;
}

// The node of every expert.
std::vector<int> MatchClusters(const LayerTraffic& traffic, absl::Span<const int> clusters,
                               const Topology& topology) {
  const int nodes = traffic.nodes;
  std::vector<int64_t> wish(size_t(nodes) * nodes, 0);  // [cluster, node]
  std::vector<int> size(nodes, 0);
  for (int e = 0; e < traffic.experts; ++e) {
    ++size[clusters[e]];
    for (int n = 0; n < nodes; ++n) {
      wish[size_t(clusters[e]) * nodes + n] += traffic.Wanted(e, n);
    }
  }
  std::vector<int> node_of(nodes);
  std::iota(node_of.begin(), node_of.end(), 0);
  const auto at = [&](int c, int n) { return wish[size_t(c) * nodes + n]; };
  for (bool any = true; any;) {
    any = false;
    for (int a = 0; a < nodes; ++a) {
      for (int b = a + 1; b < nodes; ++b) {
        const int64_t gain =
            at(a, node_of[b]) + at(b, node_of[a]) - at(a, node_of[a]) - at(b, node_of[b]);
        if (gain > 0 && size[a] == size[b] && SameShape(topology, a, b)) {
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

ClusterPlacement PlaceClusters(const LayerTraffic& traffic, absl::Span<const int> clusters,
                               const Topology& topology, Copies copies, double load_cap) {
  const int nodes = traffic.nodes, experts = traffic.experts;
  const std::vector<int> first_node = MatchClusters(traffic, clusters, topology);
  std::vector<uint64_t> holders;
  for (int n : first_node) {
    holders.push_back(uint64_t{1} << n);
  }
  if (copies == Copies::kAll) {
    holders = AddLocalCopies(traffic, first_node, topology, load_cap);
  }
  ClusterPlacement out;
  out.choice.assign(size_t(nodes) * experts, kRingOrder);
  std::vector<double> served(size_t(nodes) * experts, 0);
  for (int h = 0; h < nodes; ++h) {
    for (int e = 0; e < experts; ++e) {
      const bool local = holders[e] >> h & 1;
      const int server = local ? h : first_node[e];
      served[size_t(server) * experts + e] += double(traffic.Wanted(e, h));
      if (!local) {
        out.choice[size_t(h) * experts + e] = static_cast<int16_t>(server);
      }
    }
  }
  out.row = PackGpus(topology, holders, served);
  return out;
}

}  // namespace advisor
