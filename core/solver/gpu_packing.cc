#include "core/solver/gpu_packing.h"

#include <algorithm>
#include <utility>

#include "core/model/ids.h"

namespace advisor {
namespace {

// The GPUs of one node while they are filled.
class NodePacking {
 public:
  NodePacking(const Topology& topology, int node, absl::Span<const double> load,
              absl::Span<int16_t> row)
      : topology_(topology),
        first_gpu_(topology.first_gpu(NodeId(node)).value()),
        gpus_(topology.gpus_on(NodeId(node))),
        slots_(topology.nodes()[node].slots_per_gpu),
        load_(load),
        row_(row),
        used_(gpus_, 0),
        gpu_load_(gpus_, 0) {}

  void Put(int e) {
    int best = -1;
    for (int g = 0; g < gpus_; ++g) {
      if (used_[g] < slots_ && (best < 0 || gpu_load_[g] < gpu_load_[best])) {
        best = g;
      }
    }
    row_[Slot(best, used_[best]++)] = static_cast<int16_t>(e);
    gpu_load_[best] += load_[e];
  }

  void Even() {
    while (gpus_ > 1 && SwapFromHottest()) {
    }
  }

 private:
  int Slot(int gpu, int i) const {
    return topology_.first_slot(GpuId(first_gpu_ + gpu)).value() + i;
  }
  double LoadIn(int slot) const { return row_[slot] == kEmptySlot ? 0 : load_[row_[slot]]; }

  // Lowers the larger of two GPU loads strictly, one of them the largest of the node, so the loads
  // sorted downwards fall in lexicographic order: it ends.
  bool SwapFromHottest() {
    const int hot =
        static_cast<int>(std::max_element(gpu_load_.begin(), gpu_load_.end()) - gpu_load_.begin());
    double best = gpu_load_[hot] * (1 - 1e-12);
    int from = -1, to = -1, to_gpu = -1;
    for (int i = 0; i < slots_; ++i) {
      for (int g = 0; g < gpus_; ++g) {
        for (int j = 0; g != hot && j < slots_; ++j) {
          const double shift = LoadIn(Slot(hot, i)) - LoadIn(Slot(g, j));
          const double larger = std::max(gpu_load_[hot] - shift, gpu_load_[g] + shift);
          if (larger < best) {
            best = larger;
            from = Slot(hot, i);
            to = Slot(g, j);
            to_gpu = g;
          }
        }
      }
    }
    if (from < 0) {
      return false;
    }
    const double shift = LoadIn(from) - LoadIn(to);
    gpu_load_[hot] -= shift;
    gpu_load_[to_gpu] += shift;
    std::swap(row_[from], row_[to]);
    return true;
  }

  const Topology& topology_;
  const int first_gpu_, gpus_, slots_;
  absl::Span<const double> load_;  // [experts]
  absl::Span<int16_t> row_;
  std::vector<int> used_;
  std::vector<double> gpu_load_;
};

}  // namespace

std::vector<int16_t> PackGpus(const Topology& topology, absl::Span<const uint64_t> holders,
                              absl::Span<const double> load) {
  const int experts = static_cast<int>(holders.size());
  std::vector<int16_t> row(topology.slot_count(), kEmptySlot);
  for (int n = 0; n < topology.node_count(); ++n) {
    const absl::Span<const double> of_node = load.subspan(size_t(n) * experts, experts);
    std::vector<std::pair<double, int>> order;  // by falling load
    for (int e = 0; e < experts; ++e) {
      if (holders[e] >> n & 1) {
        order.emplace_back(-of_node[e], e);
      }
    }
    std::sort(order.begin(), order.end());
    NodePacking packing(topology, n, of_node, absl::MakeSpan(row));
    for (const auto& entry : order) {
      packing.Put(entry.second);
    }
    packing.Even();
  }
  return row;
}

std::vector<double> ServedInRingOrder(absl::Span<const uint64_t> holders,
                                      absl::Span<const double> demand, int nodes) {
  const int experts = static_cast<int>(holders.size());
  std::vector<double> served(size_t(nodes) * experts, 0);
  for (int h = 0; h < nodes; ++h) {
    for (int e = 0; e < experts; ++e) {
      int n = h;
      for (int step = 0; step < nodes && !(holders[e] >> n & 1); ++step) {
        n = (n + 1) % nodes;
      }
      served[size_t(n) * experts + e] += demand[size_t(h) * experts + e];
    }
  }
  return served;
}

}  // namespace advisor
