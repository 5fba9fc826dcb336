#ifndef ADVISOR_CORE_COST_MICROBATCH_EXPERTS_H_
#define ADVISOR_CORE_COST_MICROBATCH_EXPERTS_H_

#include <optional>

#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/model/request.h"

namespace advisor {

// Requests of one microbatch that decode together, each a token a step.
inline constexpr int kRequestsTogether = 8;

// Where a request runs inside its node: 0 .. n - 1.
using Microbatch = int;

// Distinct experts that a microbatch's tokens choose in a layer, mean over layers and decode steps:
// the experts whose weights a step has to read. The requests of one node and microbatch run in
// their order, kRequestsTogether at a time; one that ends makes room for the next. Steps count
// while as many run as at the start, so that a queue running dry does not count as locality.
// Requests without whole decode tokens are passed over; weights play no part. Unset: no step.
// `homes` and `microbatches` are by request.
std::optional<double> DistinctExpertsPerMicrobatch(const Traffic& traffic,
                                                   absl::Span<const NodeId> homes,
                                                   absl::Span<const Microbatch> microbatches);

// The i-th request of every node in microbatch i modulo `count`.
std::vector<Microbatch> DealMicrobatches(absl::Span<const NodeId> homes, int count);

}  // namespace advisor

#endif  // ADVISOR_CORE_COST_MICROBATCH_EXPERTS_H_
