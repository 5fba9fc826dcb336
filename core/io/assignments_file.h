#ifndef ADVISOR_CORE_IO_ASSIGNMENTS_FILE_H_
#define ADVISOR_CORE_IO_ASSIGNMENTS_FILE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/model/request.h"

namespace advisor {

// One request's home in an assignments file: {"request_id":"...","node":2}, optional microbatch.
struct Assignment {
  std::string request_id;
  NodeId node;
  int microbatch = -1;  // -1: not stated
  friend bool operator==(const Assignment&, const Assignment&) = default;
};

// INVALID_ARGUMENT: a line that is no assignment, or a request assigned twice. DATA_LOSS: a cut
// file.
absl::StatusOr<std::vector<Assignment>> ReadAssignments(const std::string& path);
absl::Status WriteAssignments(const std::string& path, absl::Span<const Assignment> assignments);

// Homes in the order of traffic.requests. NOT_FOUND names a request without an assignment;
// INVALID_ARGUMENT a node outside 0 .. nodes - 1.
absl::StatusOr<std::vector<NodeId>> HomesOf(const Traffic& traffic,
                                            absl::Span<const Assignment> assignments, int nodes);

// Microbatches in the order of traffic.requests, all of which must be assigned; unset where one
// does not state it.
std::optional<std::vector<int>> MicrobatchesOf(const Traffic& traffic,
                                               absl::Span<const Assignment> assignments);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_ASSIGNMENTS_FILE_H_
