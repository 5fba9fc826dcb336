#ifndef ADVISOR_CORE_SOLVER_LAYER_COPIES_H_
#define ADVISOR_CORE_SOLVER_LAYER_COPIES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/placement.h"
#include "core/model/topology.h"

namespace advisor {

// One expert gains a copy, loses one, or both. Slots; -1: none.
struct CopyChange {
  int expert = -1;
  int add = -1;
  int drop = -1;
};

// What one step of the search does to a layer: at most two experts change, so that slots can be
// swapped.
struct LayerMove {
  CopyChange change[2];
  int changes = 0;
};

// The node that serves tokens of `home`: home itself where it holds a copy, else `chosen` (a node
// or kRingOrder) where that does, else the first holder in ring order. `holders` is not 0.
inline int ServingNode(uint64_t holders, int nodes, int home, int chosen) {
  int n = home;
  if (chosen != kRingOrder && !(holders >> home & 1) && (holders >> chosen & 1)) {
    n = chosen;
  }
  while (!(holders >> n & 1)) {
    n = (n + 1) % nodes;
  }
  return n;
}

// Who holds what in one layer under search, and how many slots that differs by from the placement
// in force. What it costs is for the classes that build on this: LayerState, CoverState.
class LayerCopies {
 public:
  // The placement that moves are counted against. Unset: moves are free.
  void SetInForce(absl::Span<const int16_t> row);

  // No GPU twice, and the expert keeps a copy.
  bool Legal(const CopyChange& change) const {
    const bool keeps_one = change.drop < 0 || change.add >= 0 || copies_[change.expert] > 1;
    if (change.add < 0) {
      return keeps_one;
    }
    const int gpu = gpu_of_slot_[change.add];
    const bool leaves_gpu = change.drop >= 0 && gpu_of_slot_[change.drop] == gpu;
    return keeps_one && (leaves_gpu || !OnGpu(change.expert, gpu));
  }
  // Slots that the move makes receive an expert new to their GPU, less those that it makes give one
  // back.
  int MovesDelta(const LayerMove& move) const {
    return in_force_.empty() ? 0 : MovesFromInForce(move);
  }

  absl::Span<const int16_t> row() const { return row_; }  // [slots]
  int expert_in(int slot) const { return row_[slot]; }
  uint64_t holders(int e) const { return holders_[e]; }  // node mask
  int copies(int e) const { return copies_[e]; }
  int copies_on(int e, int node) const { return copies_on_[size_t(e) * nodes_ + node]; }
  bool OnGpu(int e, int gpu) const { return on_gpu_[size_t(e) * gpus_ + gpu]; }
  // The slots that hold e, in no order.
  absl::Span<const int16_t> slots_of(int e) const {
    return {&slots_of_[size_t(e) * gpus_], size_t(copies_[e])};
  }
  int moves() const { return moves_; }  // slots that hold an expert new to their GPU
  int node_of(int slot) const { return node_of_slot_[slot]; }
  int gpu_of(int slot) const { return gpu_of_slot_[slot]; }
  const Topology& topology() const { return topology_; }

 protected:
  // `topology` must outlive the copies.
  LayerCopies(int experts, const Topology& topology);
  ~LayerCopies() = default;

  // Starts from a valid placement row, with nothing in force.
  void ResetCopies(absl::Span<const int16_t> row);
  void ApplyCopies(const LayerMove& move);
  uint64_t HoldersAfter(const CopyChange& change) const;

 private:
  int MovesFromInForce(const LayerMove& move) const;

  const Topology& topology_;
  const int experts_, nodes_, gpus_;
  std::vector<int16_t> node_of_slot_, gpu_of_slot_;
  std::vector<int16_t> row_;        // [slots]
  std::vector<uint64_t> holders_;   // [experts]
  std::vector<int16_t> copies_;     // [experts]
  std::vector<int16_t> slots_of_;   // [experts, gpus] the first copies_[e] are its slots
  std::vector<int16_t> copies_on_;  // [experts, nodes]
  std::vector<uint8_t> on_gpu_;     // [experts, gpus]
  std::vector<uint8_t> in_force_;   // [experts, gpus], empty: nothing in force
  int moves_ = 0;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_COPIES_H_
