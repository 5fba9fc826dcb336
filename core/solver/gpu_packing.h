#ifndef ADVISOR_CORE_SOLVER_GPU_PACKING_H_
#define ADVISOR_CORE_SOLVER_GPU_PACKING_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/topology.h"

namespace advisor {

// A placement row [slots] from node masks: holders[e] names the nodes that get one copy of expert
// e; no node gets more than it has slots. load[n, e] is what node n serves of e. On every node
// copies go by falling load to the least loaded GPU with a free slot; then copies of the most
// loaded GPU are swapped with lighter ones elsewhere while that lowers the larger of the two loads.
std::vector<int16_t> PackGpus(const Topology& topology, absl::Span<const uint64_t> holders,
                              absl::Span<const double> load);

// What every node serves of every expert, [nodes, experts], when homes without a copy use ring
// order. demand: [nodes (home), experts].
std::vector<double> ServedInRingOrder(absl::Span<const uint64_t> holders,
                                      absl::Span<const double> demand, int nodes);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_GPU_PACKING_H_
