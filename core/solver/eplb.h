#ifndef ADVISOR_CORE_SOLVER_EPLB_H_
#define ADVISOR_CORE_SOLVER_EPLB_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/model_spec.h"
#include "core/model/topology.h"

namespace advisor {

// One layer balanced by DeepSeek's EPLB (github.com/deepseek-ai/EPLB, rebalance_experts): [slots].
//   1. Hierarchical, when the model's expert groups divide by the nodes: groups by falling load,
//   each to the lightest node
//      with room for another group. Else global: all experts and GPUs form one unit.
//   2. Inside a unit, spare slots one at a time to the expert with the largest load per copy.
//   3. Copies by falling load per copy, each to the lightest GPU with a free slot.
// Every sort ends in the lower index.
//
// Where we go beyond what is published:
// - It may put two copies of an expert on one GPU. No more copies are made than the unit has GPUs,
// and each double is swapped
//   with the copy of another GPU that leaves the larger of the two GPU loads smallest. Where no
//   swap is free of doubles, the double gives its slot to the expert with the largest load per copy
//   that the GPU lacks.
// - GPUs may differ in slots: a GPU takes copies while it has a free slot. Nodes that differ in
// shape are solved globally,
//   because groups can then not be shared out evenly.
std::vector<int16_t> EplbRow(const ModelSpec& model, const Topology& topology,
                             absl::Span<const double> load);

// Whether EplbRow takes the hierarchical path.
bool EplbIsHierarchical(const ModelSpec& model, const Topology& topology);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_EPLB_H_
