#ifndef ADVISOR_CORE_MODEL_PLACEMENT_H_
#define ADVISOR_CORE_MODEL_PLACEMENT_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/model/model_spec.h"
#include "core/model/topology.h"

namespace advisor {

// Which expert sits in every slot of every layer. Shape [layers, slots], kEmptySlot where a slot
// holds nothing.
class Placement {
 public:
  Placement() = default;
  Placement(int layers, int slots)
      : layers_(layers), slots_(slots), cells_(size_t(layers) * slots, kEmptySlot) {}

  int layers() const { return layers_; }
  int slots() const { return slots_; }
  absl::Span<int16_t> row(LayerId l) {
    return {cells_.data() + size_t(l.value()) * slots_, size_t(slots_)};
  }
  absl::Span<const int16_t> row(LayerId l) const {
    return {cells_.data() + size_t(l.value()) * slots_, size_t(slots_)};
  }
  const std::vector<int16_t>& cells() const { return cells_; }
  std::vector<int16_t>& cells() { return cells_; }
  friend bool operator==(const Placement&, const Placement&) = default;

 private:
  int layers_ = 0, slots_ = 0;
  std::vector<int16_t> cells_;
};

// For tokens whose home holds no copy of an expert: the node that serves them. Shape [layers, nodes
// (home), experts]; kRingOrder means home + 1, home + 2, ... modulo nodes, first that holds a copy.
// An empty table is ring order everywhere.
class RemoteChoice {
 public:
  RemoteChoice() = default;
  RemoteChoice(int layers, int nodes, int experts)
      : nodes_(nodes), experts_(experts), cells_(size_t(layers) * nodes * experts, kRingOrder) {}

  bool empty() const { return cells_.empty(); }
  absl::Span<int16_t> row(LayerId l, NodeId home) {
    return {cells_.data() + (size_t(l.value()) * nodes_ + home.value()) * experts_,
            size_t(experts_)};
  }
  absl::Span<const int16_t> row(LayerId l, NodeId home) const {
    return {cells_.data() + (size_t(l.value()) * nodes_ + home.value()) * experts_,
            size_t(experts_)};
  }
  const std::vector<int16_t>& cells() const { return cells_; }
  std::vector<int16_t>& cells() { return cells_; }
  friend bool operator==(const RemoteChoice&, const RemoteChoice&) = default;

 private:
  int nodes_ = 0, experts_ = 0;
  std::vector<int16_t> cells_;
};

// The baseline: expert e in slot floor(e * slots / experts), one copy each, spare slots empty.
Placement LinearPlacement(const ModelSpec& model, const Topology& topology);

// The independent check that every plan passes before anyone sees it. INVALID_ARGUMENT names the
// layer and the expert or slot: wrong shape, expert id outside -1 .. experts - 1, an expert without
// a copy, two copies of one expert on one GPU, a remote choice that names a node without a copy.
// `remote_choice` may be empty.
absl::Status ValidatePlacement(const ModelSpec& model, const Topology& topology,
                               const Placement& placement, const RemoteChoice& remote_choice);

// Where tokens go under a placement, as plain tables for fast lookups.
class ServeTable {
 public:
  // The placement and choice must be valid (ValidatePlacement).
  ServeTable(const ModelSpec& model, const Topology& topology, const Placement& placement,
             const RemoteChoice& remote_choice);

  // Node that serves expert `e` of layer `l` for a token whose home is `home`.
  int16_t Serves(int l, int home, int e) const {
    return serve_[(size_t(l) * nodes_ + home) * experts_ + e];
  }
  // The experts of one layer and home: [experts] serving nodes.
  const int16_t* ServeRow(int l, int home) const {
    return &serve_[(size_t(l) * nodes_ + home) * experts_];
  }
  // Bit n is set when node n holds a copy.
  uint64_t Holders(int l, int e) const { return holders_[size_t(l) * experts_ + e]; }

 private:
  int nodes_, experts_;
  std::vector<int16_t> serve_;     // [layers, nodes, experts]
  std::vector<uint64_t> holders_;  // [layers, experts]
};

// Slots of `next` that receive an expert their GPU did not hold in `previous`. Same shapes.
int64_t MovedSlots(const Topology& topology, const Placement& previous, const Placement& next);

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_PLACEMENT_H_
