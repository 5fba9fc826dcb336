#include "core/solver/layer_copies.h"

#include <algorithm>

namespace advisor {

LayerCopies::LayerCopies(int experts, const Topology& topology)
    : topology_(topology),
      experts_(experts),
      nodes_(topology.node_count()),
      gpus_(topology.gpu_count()) {
  for (int s = 0; s < topology.slot_count(); ++s) {
    node_of_slot_.push_back(static_cast<int16_t>(topology.node_of(SlotId(s)).value()));
    gpu_of_slot_.push_back(static_cast<int16_t>(topology.gpu_of(SlotId(s)).value()));
  }
}

void LayerCopies::ResetCopies(absl::Span<const int16_t> row) {
  row_.assign(row.begin(), row.end());
  holders_.assign(experts_, 0);
  copies_.assign(experts_, 0);
  slots_of_.assign(size_t(experts_) * gpus_, -1);
  copies_on_.assign(size_t(experts_) * nodes_, 0);
  on_gpu_.assign(size_t(experts_) * gpus_, 0);
  for (size_t s = 0; s < row_.size(); ++s) {
    const int e = row_[s];
    if (e == kEmptySlot) {
      continue;
    }
    holders_[e] |= uint64_t{1} << node_of_slot_[s];
    slots_of_[size_t(e) * gpus_ + copies_[e]++] = static_cast<int16_t>(s);
    ++copies_on_[size_t(e) * nodes_ + node_of_slot_[s]];
    on_gpu_[size_t(e) * gpus_ + gpu_of_slot_[s]] = 1;
  }
  SetInForce({});
}

void LayerCopies::SetInForce(absl::Span<const int16_t> row) {
  in_force_.clear();
  moves_ = 0;
  if (row.empty()) {
    return;
  }
  in_force_.assign(size_t(experts_) * gpus_, 0);
  for (size_t s = 0; s < row.size(); ++s) {
    if (row[s] != kEmptySlot) {
      in_force_[size_t(row[s]) * gpus_ + gpu_of_slot_[s]] = 1;
    }
  }
  for (size_t s = 0; s < row_.size(); ++s) {
    moves_ += row_[s] != kEmptySlot && !in_force_[size_t(row_[s]) * gpus_ + gpu_of_slot_[s]];
  }
}

int LayerCopies::MovesFromInForce(const LayerMove& move) const {
  int delta = 0;
  for (int k = 0; k < move.changes; ++k) {
    const CopyChange& c = move.change[k];
    const auto is_new = [&](int slot) {
      return slot >= 0 && !in_force_[size_t(c.expert) * gpus_ + gpu_of_slot_[slot]];
    };
    delta += is_new(c.add) - is_new(c.drop);
  }
  return delta;
}

uint64_t LayerCopies::HoldersAfter(const CopyChange& change) const {
  uint64_t holders = holders_[change.expert];
  if (change.drop >= 0 && copies_on(change.expert, node_of_slot_[change.drop]) == 1) {
    holders &= ~(uint64_t{1} << node_of_slot_[change.drop]);
  }
  if (change.add >= 0) {
    holders |= uint64_t{1} << node_of_slot_[change.add];
  }
  return holders;
}

void LayerCopies::ApplyCopies(const LayerMove& move) {
  moves_ += MovesDelta(move);
  for (int k = 0; k < move.changes; ++k) {
    const CopyChange& c = move.change[k];
    holders_[c.expert] = HoldersAfter(c);
    if (c.drop >= 0) {
      int16_t* slots = &slots_of_[size_t(c.expert) * gpus_];
      *std::find(slots, slots + copies_[c.expert], c.drop) = slots[copies_[c.expert] - 1];
      --copies_[c.expert];
      --copies_on_[size_t(c.expert) * nodes_ + node_of_slot_[c.drop]];
      on_gpu_[size_t(c.expert) * gpus_ + gpu_of_slot_[c.drop]] = 0;
      row_[c.drop] = kEmptySlot;
    }
  }
  for (int k = 0; k < move.changes; ++k) {
    const CopyChange& c = move.change[k];
    if (c.add >= 0) {
      slots_of_[size_t(c.expert) * gpus_ + copies_[c.expert]++] = static_cast<int16_t>(c.add);
      ++copies_on_[size_t(c.expert) * nodes_ + node_of_slot_[c.add]];
      on_gpu_[size_t(c.expert) * gpus_ + gpu_of_slot_[c.add]] = 1;
      row_[c.add] = static_cast<int16_t>(c.expert);
    }
  }
}

}  // namespace advisor
