#ifndef ADVISOR_CORE_SOLVER_MOVES_H_
#define ADVISOR_CORE_SOLVER_MOVES_H_

#include <vector>

#include "core/model/plan.h"

namespace advisor {

// Every slot of `after` that receives an expert its GPU did not hold in `before` (same shapes), by
// layer and slot, with the nearest source: a slot of the same node, else of the same rack, else of
// any node; ties: lowest slot. -1: nobody held it.
std::vector<Move> MovesBetween(const ModelSpec& model, const Topology& topology,
                               const Placement& before, const Placement& after);

// `placement` of topology `from` as it stands on `to`: GPU i of a node keeps what GPU i of the node
// of that name held, as far as its slots reach; everything else is empty. For plans in force when
// nodes leave, join or change.
Placement CarryOver(const Topology& from, const Topology& to, const Placement& placement);

// What engines must copy to get from `previous`, carried over, to `plan`; null: from the linear
// placement, with which they start.
std::vector<Move> MovesFrom(const Plan* previous, const Plan& plan);

// Orders the slots inside every GPU: experts that were on it already keep their slot, the others
// fill the free ones in order. Same shapes.
void KeepSlots(const Topology& topology, const Placement& in_force, Placement& placement);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_MOVES_H_
