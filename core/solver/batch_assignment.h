#ifndef ADVISOR_CORE_SOLVER_BATCH_ASSIGNMENT_H_
#define ADVISOR_CORE_SOLVER_BATCH_ASSIGNMENT_H_

#include <vector>

#include "absl/types/span.h"
#include "core/cost/microbatch_experts.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor {

// What placing requests one by one gives away: the same choices with all prompts in view. The
// plan's grouping must not be empty.

// Homes by the costs of Assigner.
std::vector<NodeId> AssignBatch(const Plan& plan, const Traffic& traffic);

// Microbatches by the costs of Microbatcher: its own split, then rounds of balanced assignment to
// the profiles that the split before leaves.
std::vector<Microbatch> SplitBatch(const Plan& plan, const Traffic& traffic,
                                   absl::Span<const NodeId> homes, int microbatches);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_BATCH_ASSIGNMENT_H_
