#include "core/solver/layer_start.h"

#include <algorithm>
#include <tuple>

#include "core/model/ids.h"

namespace advisor {
namespace {

// Puts copies into a row, least loaded GPU of a node first.
class RowFiller {
 public:
  RowFiller(int experts, const Topology& topology)
      : topology_(topology),
        row_(topology.slot_count(), kEmptySlot),
        used_(topology.gpu_count(), 0),
        load_(topology.gpu_count(), 0),
        on_node_(size_t(experts) * topology.node_count(), 0) {}

  bool Has(int e, int node) const {
    return on_node_[size_t(e) * topology_.node_count() + node] != 0;
  }

  // False when the node is full.
  bool Put(int e, int node, double demand) {
    int best = -1;
    const int first = topology_.first_gpu(NodeId(node)).value();
    for (int g = first; g < first + topology_.gpus_on(NodeId(node)); ++g) {
      if (used_[g] < topology_.slots_on(GpuId(g)) && (best < 0 || load_[g] < load_[best])) {
        best = g;
      }
    }
    if (best < 0) {
      return false;
    }
    row_[topology_.first_slot(GpuId(best)).value() + used_[best]++] = static_cast<int16_t>(e);
    load_[best] += demand;
    on_node_[size_t(e) * topology_.node_count() + node] = 1;
    return true;
  }

  std::vector<int16_t> Take() { return std::move(row_); }

 private:
  const Topology& topology_;
  std::vector<int16_t> row_;
  std::vector<int> used_;
  std::vector<double> load_;
  std::vector<uint8_t> on_node_;
};

struct Want {
  int64_t demand;
  int node;
  int expert;
};

std::vector<Want> SortedWants(const LayerTraffic& traffic) {
  std::vector<Want> wants;
  for (int e = 0; e < traffic.experts; ++e) {
    for (int n = 0; n < traffic.nodes; ++n) {
      wants.push_back({traffic.DemandOf(e, n), n, e});
    }
  }
  std::sort(wants.begin(), wants.end(), [](const Want& a, const Want& b) {
    return std::tuple(-a.demand, a.node, a.expert) < std::tuple(-b.demand, b.node, b.expert);
  });
  return wants;
}

}  // namespace

std::vector<int16_t> StartByDemand(const LayerTraffic& traffic, const Topology& topology) {
  const std::vector<Want> wants = SortedWants(traffic);
  RowFiller filler(traffic.experts, topology);
  std::vector<int> room(traffic.nodes);
  for (int n = 0; n < traffic.nodes; ++n) {
    // Rounded up: the shares together hold every expert.
    const int64_t slots = topology.slots_on(NodeId(n));
    room[n] = static_cast<int>((slots * traffic.experts + topology.slot_count() - 1) /
                               topology.slot_count());
  }
  std::vector<uint8_t> placed(traffic.experts, 0);
  for (const Want& want : wants) {
    if (!placed[want.expert] && room[want.node] > 0) {
      placed[want.expert] = filler.Put(want.expert, want.node, double(want.demand));
      room[want.node] -= placed[want.expert];
    }
  }
  for (const Want& want : wants) {
    if (want.demand > 0 && !filler.Has(want.expert, want.node)) {
      filler.Put(want.expert, want.node, double(want.demand));
    }
  }
  return filler.Take();
}

bool IsComplete(int experts, const Topology& topology, absl::Span<const int16_t> row) {
  std::vector<int> last_gpu(experts, -1);  // that was seen to hold the expert
  int seen = 0;
  for (int s = 0; s < topology.slot_count(); ++s) {
    if (row[s] == kEmptySlot) {
      continue;
    }
    const int gpu = topology.gpu_of(SlotId(s)).value();
    seen += last_gpu[row[s]] < 0;
    if (last_gpu[row[s]] == gpu) {
      return false;
    }
    last_gpu[row[s]] = gpu;
  }
  return seen == experts;
}

void CompleteRow(const LayerTraffic& traffic, const Topology& topology, absl::Span<int16_t> row) {
  std::vector<int> copies(traffic.experts, 0);
  for (int g = 0; g < topology.gpu_count(); ++g) {
    const auto first = row.begin() + topology.first_slot(GpuId(g)).value();
    for (int s = 0; s < topology.slots_on(GpuId(g)); ++s) {
      if (first[s] != kEmptySlot && std::find(first, first + s, first[s]) != first + s) {
        first[s] = kEmptySlot;
      }
      if (first[s] != kEmptySlot) {
        ++copies[first[s]];
      }
    }
  }
  for (int e = 0; e < traffic.experts; ++e) {
    if (copies[e] > 0) {
      continue;
    }
    int best = -1;
    std::tuple<bool, int64_t> best_rank;  // empty slots first, then the node's demand
    for (int s = 0; s < topology.slot_count(); ++s) {
      const bool empty = row[s] == kEmptySlot;
      if (!empty && copies[row[s]] < 2) {
        continue;
      }
      const std::tuple rank(empty, traffic.DemandOf(e, topology.node_of(SlotId(s)).value()));
      if (best < 0 || rank > best_rank) {
        best = s;
        best_rank = rank;
      }
    }
    if (row[best] != kEmptySlot) {
      --copies[row[best]];
    }
    row[best] = static_cast<int16_t>(e);
    copies[e] = 1;
  }
}

}  // namespace advisor
