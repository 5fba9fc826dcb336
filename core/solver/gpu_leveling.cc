#include "core/solver/gpu_leveling.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "core/solver/gpu_packing.h"

namespace advisor {
namespace {

// What every node serves of every expert, [nodes, experts].
std::vector<double> Served(const LayerState& layer, int set) {
  const LayerTraffic& traffic = layer.traffic();
  std::vector<double> served(size_t(traffic.nodes) * traffic.experts, 0);
  for (int e = 0; e < traffic.experts; ++e) {
    for (int h = 0; h < traffic.nodes; ++h) {
      served[size_t(layer.serve(e, h)) * traffic.experts + e] += double(traffic.Demand(e, set)[h]);
    }
  }
  return served;
}

std::vector<double> Served(const CoverState& layer, int set) {
  const LayerTraffic& traffic = layer.traffic();
  std::vector<double> served;
  for (int n = 0; n < traffic.nodes; ++n) {
    for (int e = 0; e < traffic.experts; ++e) {
      served.push_back(double(layer.served(e, set, n)));
    }
  }
  return served;
}

// The slots of one node.
struct NodeSlots {
  int first = 0, gpus = 0, per_gpu = 0;

  NodeSlots(const Topology& topology, int node)
      : first(topology.first_slot(topology.first_gpu(NodeId(node))).value()),
        gpus(topology.gpus_on(NodeId(node))),
        per_gpu(topology.nodes()[node].slots_per_gpu) {}

  int end() const { return first + gpus * per_gpu; }

  bool HoldTwice(absl::Span<const int16_t> row) const {
    std::vector<int16_t> held;
    std::copy_if(row.begin() + first, row.begin() + end(), std::back_inserter(held),
                 [](int16_t e) { return e != kEmptySlot; });
    std::sort(held.begin(), held.end());
    return std::adjacent_find(held.begin(), held.end()) != held.end();
  }

  double LargestLoad(absl::Span<const int16_t> row, const double* served) const {
    double largest = 0;
    for (int g = 0; g < gpus; ++g) {
      double load = 0;
      for (int s = first + g * per_gpu; s < first + (g + 1) * per_gpu; ++s) {
        load += row[s] == kEmptySlot ? 0 : served[row[s]];
      }
      largest = std::max(largest, load);
    }
    return largest;
  }
};

template <typename State>
std::vector<int16_t> Level(const State& layer) {
  const LayerTraffic& traffic = layer.traffic();
  const size_t experts = traffic.experts;
  std::vector<uint64_t> holders;
  for (size_t e = 0; e < experts; ++e) {
    holders.push_back(layer.holders(static_cast<int>(e)));
  }
  std::vector<std::vector<double>> served;  // by load set
  std::vector<double> sum(traffic.nodes * experts, 0);
  for (int set = 0; set < traffic.load_sets; ++set) {
    served.push_back(Served(layer, set));
    std::transform(sum.begin(), sum.end(), served.back().begin(), sum.begin(), std::plus<>());
  }
  const std::vector<int16_t> packed = PackGpus(layer.topology(), holders, sum);
  std::vector<int16_t> row(layer.row().begin(), layer.row().end());
  for (int n = 0; n < traffic.nodes; ++n) {
    const NodeSlots node(layer.topology(), n);
    const bool evener = std::all_of(served.begin(), served.end(), [&](const auto& of_set) {
      const double* of_node = &of_set[n * experts];
      return node.LargestLoad(packed, of_node) < node.LargestLoad(row, of_node);
    });
    if (evener && !node.HoldTwice(row)) {
      std::copy(packed.begin() + node.first, packed.begin() + node.end(), row.begin() + node.first);
    }
  }
  return row;
}

}  // namespace

std::vector<int16_t> LevelGpus(const LayerState& layer) { return Level(layer); }
std::vector<int16_t> LevelGpus(const CoverState& layer) { return Level(layer); }

}  // namespace advisor
