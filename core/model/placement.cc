#include "core/model/placement.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_format.h"

namespace advisor {
namespace {

// Holders of every expert of one layer as node masks.
std::vector<uint64_t> HolderMasks(int experts, const Topology& topology,
                                  absl::Span<const int16_t> row) {
  std::vector<uint64_t> masks(experts, 0);
  for (int s = 0; s < topology.slot_count(); ++s) {
    if (row[s] != kEmptySlot) {
      masks[row[s]] |= uint64_t{1} << topology.node_of(SlotId(s)).value();
    }
  }
  return masks;
}

absl::Status ValidateLayer(const ModelSpec& model, const Topology& topology, int layer,
                           absl::Span<const int16_t> row) {
  std::vector<int> last_gpu(model.experts, -1);
  for (int s = 0; s < topology.slot_count(); ++s) {
    const int e = row[s];
    if (e == kEmptySlot) {
      continue;
    }
    if (e < 0 || e >= model.experts) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "layer %d slot %d: expert %d, must be -1 .. %d", layer, s, e, model.experts - 1));
    }
    const int gpu = topology.gpu_of(SlotId(s)).value();
    if (last_gpu[e] == gpu) {
      return absl::InvalidArgumentError(
          absl::StrFormat("layer %d: two copies of expert %d on GPU %d", layer, e, gpu));
    }
    last_gpu[e] = gpu;
  }
  for (int e = 0; e < model.experts; ++e) {
    if (last_gpu[e] < 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("layer %d: no copy of expert %d", layer, e));
    }
  }
  return absl::OkStatus();
}

}  // namespace

Placement LinearPlacement(const ModelSpec& model, const Topology& topology) {
  Placement placement(model.moe_layers, topology.slot_count());
  for (int l = 0; l < model.moe_layers; ++l) {
    absl::Span<int16_t> row = placement.row(LayerId(l));
    for (int e = 0; e < model.experts; ++e) {
      row[int64_t{e} * topology.slot_count() / model.experts] = static_cast<int16_t>(e);
    }
  }
  return placement;
}

absl::Status ValidatePlacement(const ModelSpec& model, const Topology& topology,
                               const Placement& placement, const RemoteChoice& remote_choice) {
  if (placement.layers() != model.moe_layers || placement.slots() != topology.slot_count()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "placement is [%d, %d], must be [layers, slots] = [%d, %d]", placement.layers(),
        placement.slots(), model.moe_layers, topology.slot_count()));
  }
  for (int l = 0; l < model.moe_layers; ++l) {
    if (absl::Status s = ValidateLayer(model, topology, l, placement.row(LayerId(l))); !s.ok()) {
      return s;
    }
  }
  if (remote_choice.empty()) {
    return absl::OkStatus();
  }
  const size_t want = size_t(model.moe_layers) * topology.node_count() * model.experts;
  if (remote_choice.cells().size() != want) {
    return absl::InvalidArgumentError(
        absl::StrFormat("remote_choice has %d cells, must have %d (layers x nodes x experts)",
                        remote_choice.cells().size(), want));
  }
  for (int l = 0; l < model.moe_layers; ++l) {
    const std::vector<uint64_t> holders =
        HolderMasks(model.experts, topology, placement.row(LayerId(l)));
    for (int h = 0; h < topology.node_count(); ++h) {
      absl::Span<const int16_t> choice = remote_choice.row(LayerId(l), NodeId(h));
      for (int e = 0; e < model.experts; ++e) {
        const int n = choice[e];
        if (n == kRingOrder) {
          continue;
        }
        const bool in_range = n >= 0 && n < topology.node_count();
        // Where the home holds a copy the entry is not used; it must still name a holder.
        if (!in_range || !(holders[e] >> n & 1)) {
          return absl::InvalidArgumentError(
              absl::StrFormat("layer %d: remote_choice of home node %d sends expert %d to node %d, "
                              "which holds no copy",
                              l, h, e, n));
        }
      }
    }
  }
  return absl::OkStatus();
}

ServeTable::ServeTable(const ModelSpec& model, const Topology& topology, const Placement& placement,
                       const RemoteChoice& remote_choice)
    : nodes_(topology.node_count()),
      experts_(model.experts),
      serve_(size_t(model.moe_layers) * nodes_ * experts_),
      holders_(size_t(model.moe_layers) * experts_) {
  for (int l = 0; l < model.moe_layers; ++l) {
    const std::vector<uint64_t> masks = HolderMasks(experts_, topology, placement.row(LayerId(l)));
    std::copy(masks.begin(), masks.end(), holders_.begin() + size_t(l) * experts_);
    for (int h = 0; h < nodes_; ++h) {
      int16_t* out = &serve_[(size_t(l) * nodes_ + h) * experts_];
      for (int e = 0; e < experts_; ++e) {
        const uint64_t from_home = masks[e] >> h;
        const int n = from_home != 0 ? h + std::countr_zero(from_home) : std::countr_zero(masks[e]);
        out[e] = static_cast<int16_t>(n);
      }
      if (remote_choice.empty()) {
        continue;
      }
      const absl::Span<const int16_t> choice = remote_choice.row(LayerId(l), NodeId(h));
      for (int e = 0; e < experts_; ++e) {
        if (choice[e] != kRingOrder && !(masks[e] >> h & 1)) {
          out[e] = choice[e];
        }
      }
    }
  }
}

int64_t MovedSlots(const Topology& topology, const Placement& previous, const Placement& next) {
  int64_t moved = 0;
  for (int l = 0; l < next.layers(); ++l) {
    for (int s = 0; s < next.slots(); ++s) {
      const int16_t e = next.row(LayerId(l))[s];
      if (e == kEmptySlot) {
        continue;
      }
      const GpuId gpu = topology.gpu_of(SlotId(s));
      absl::Span<const int16_t> before =
          previous.row(LayerId(l))
              .subspan(topology.first_slot(gpu).value(), topology.slots_on(gpu));
      moved += std::find(before.begin(), before.end(), e) == before.end();
    }
  }
  return moved;
}

}  // namespace advisor
