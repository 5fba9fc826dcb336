#ifndef ADVISOR_CORE_SOLVER_LAYER_START_H_
#define ADVISOR_CORE_SOLVER_LAYER_START_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/topology.h"
#include "core/solver/layer_traffic.h"

namespace advisor {

// A placement row [slots] by demand: every expert on the node whose homes want it most, in the
// order of that demand and within the nodes' shares of slots, then spare slots filled by what their
// node wants most. Inside a node the copy goes to the GPU least loaded so far.
std::vector<int16_t> StartByDemand(const LayerTraffic& traffic, const Topology& topology);

// Whether CompleteRow would leave the row as it is.
bool IsComplete(int experts, const Topology& topology, absl::Span<const int16_t> row);

// Makes any row valid with few changes: further copies on one GPU are dropped, experts without a
// copy go to empty slots or else in place of spare copies, where the homes of the node want them
// most. The topology must have room.
void CompleteRow(const LayerTraffic& traffic, const Topology& topology, absl::Span<int16_t> row);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_START_H_
