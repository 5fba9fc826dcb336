#ifndef ADVISOR_CORE_SOLVER_LOCAL_COPIES_H_
#define ADVISOR_CORE_SOLVER_LOCAL_COPIES_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/topology.h"
#include "core/solver/layer_traffic.h"

namespace advisor {

// Fills one layer's spare slots, node by node in turn. A token's expert is served at home when the
// home holds it, else on its first node [experts].
//
// Every visit of a node's own tokens is shared out evenly over the experts that cause it; the node
// takes a copy of the expert with the largest sum (of those no token visits for: the largest
// demand), so that experts chosen together draw one another in. Load rule: a copy is passed over
// when it would take its node above `load_cap` times the mean per GPU. Returns node masks.
std::vector<uint64_t> AddLocalCopies(const LayerTraffic& traffic, absl::Span<const int> first_node,
                                     const Topology& topology, double load_cap);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LOCAL_COPIES_H_
