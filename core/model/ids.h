#ifndef ADVISOR_CORE_MODEL_IDS_H_
#define ADVISOR_CORE_MODEL_IDS_H_

#include <cstdint>

#include "core/base/strong_id.h"

namespace advisor {

using NodeId = StrongId<struct NodeTag>;      // index into Topology::nodes()
using GpuId = StrongId<struct GpuTag>;        // global: node by node, 0 .. Topology::gpus() - 1
using SlotId = StrongId<struct SlotTag>;      // global: by node, then GPU, then slot
using LayerId = StrongId<struct LayerTag>;    // MoE layers only: 0 .. ModelSpec::moe_layers - 1
using ExpertId = StrongId<struct ExpertTag>;  // routed experts: 0 .. ModelSpec::experts - 1

inline constexpr int16_t kEmptySlot = -1;  // in a placement row: the slot holds no expert
inline constexpr int16_t kRingOrder =
    -1;  // in a remote-choice row: home + 1, home + 2, ... first that holds a copy

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_IDS_H_
