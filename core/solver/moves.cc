#include "core/solver/moves.h"

#include <algorithm>

namespace advisor {
namespace {

// 0: same node, 1: same rack, 2: elsewhere.
int Distance(const Topology& topology, NodeId a, NodeId b) {
  if (a == b) {
    return 0;
  }
  const std::string& rack = topology.nodes()[a.value()].rack;
  return !rack.empty() && rack == topology.nodes()[b.value()].rack ? 1 : 2;
}

// One GPU's slots of one layer.
void KeepSlotsOfGpu(absl::Span<const int16_t> old, absl::Span<int16_t> slots) {
  std::vector<int16_t> come(slots.begin(), slots.end()), stay(slots.size(), kEmptySlot);
  for (size_t s = 0; s < slots.size(); ++s) {
    const auto it = std::find(come.begin(), come.end(), old[s]);
    if (it != come.end() && *it != kEmptySlot) {
      stay[s] = *it;
      come.erase(it);
    }
  }
  come.erase(std::remove(come.begin(), come.end(), kEmptySlot), come.end());
  for (size_t s = 0, next = 0; next < come.size(); ++s) {
    if (stay[s] == kEmptySlot) {
      stay[s] = come[next++];
    }
  }
  std::copy(stay.begin(), stay.end(), slots.begin());
}

int NearestHolder(const Topology& topology, absl::Span<const int16_t> row, int expert,
                  NodeId node) {
  int best = -1, best_distance = 3;
  for (int s = 0; s < topology.slot_count(); ++s) {
    if (row[s] == expert) {
      const int distance = Distance(topology, node, topology.node_of(SlotId(s)));
      if (distance < best_distance) {
        best = s;
        best_distance = distance;
      }
    }
  }
  return best;
}

}  // namespace

std::vector<Move> MovesBetween(const ModelSpec& model, const Topology& topology,
                               const Placement& before, const Placement& after) {
  std::vector<Move> moves;
  for (int l = 0; l < after.layers(); ++l) {
    absl::Span<const int16_t> old_row = before.row(LayerId(l));
    for (int s = 0; s < after.slots(); ++s) {
      const int16_t e = after.row(LayerId(l))[s];
      const GpuId gpu = topology.gpu_of(SlotId(s));
      absl::Span<const int16_t> had =
          old_row.subspan(topology.first_slot(gpu).value(), topology.slots_on(gpu));
      if (e == kEmptySlot || std::find(had.begin(), had.end(), e) != had.end()) {
        continue;
      }
      Move move;
      move.layer = l;
      move.slot = s;
      move.expert = e;
      move.from_slot = NearestHolder(topology, old_row, e, topology.node_of(gpu));
      move.bytes = model.expert_bytes;
      moves.push_back(move);
    }
  }
  return moves;
}

Placement CarryOver(const Topology& from, const Topology& to, const Placement& placement) {
  Placement out(placement.layers(), to.slot_count());
  for (int n = 0; n < to.node_count(); ++n) {
    for (int old = 0; old < from.node_count(); ++old) {
      if (from.nodes()[old].name != to.nodes()[n].name) {
        continue;
      }
      for (int g = 0; g < std::min(to.gpus_on(NodeId(n)), from.gpus_on(NodeId(old))); ++g) {
        const GpuId source(from.first_gpu(NodeId(old)).value() + g),
            target(to.first_gpu(NodeId(n)).value() + g);
        const int slots = std::min(from.slots_on(source), to.slots_on(target));
        for (int l = 0; l < placement.layers(); ++l) {
          std::copy_n(placement.row(LayerId(l)).begin() + from.first_slot(source).value(), slots,
                      out.row(LayerId(l)).begin() + to.first_slot(target).value());
        }
      }
    }
  }
  return out;
}

void KeepSlots(const Topology& topology, const Placement& in_force, Placement& placement) {
  for (int l = 0; l < placement.layers(); ++l) {
    for (int g = 0; g < topology.gpu_count(); ++g) {
      const size_t first = topology.first_slot(GpuId(g)).value(),
                   slots = topology.slots_on(GpuId(g));
      KeepSlotsOfGpu(in_force.row(LayerId(l)).subspan(first, slots),
                     placement.row(LayerId(l)).subspan(first, slots));
    }
  }
}

std::vector<Move> MovesFrom(const Plan* previous, const Plan& plan) {
  return MovesBetween(plan.model, plan.topology,
                      previous == nullptr
                          ? LinearPlacement(plan.model, plan.topology)
                          : CarryOver(previous->topology, plan.topology, previous->placement),
                      plan.placement);
}

}  // namespace advisor
