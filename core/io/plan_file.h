#ifndef ADVISOR_CORE_IO_PLAN_FILE_H_
#define ADVISOR_CORE_IO_PLAN_FILE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/io/atomic_file.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor {

// Plan files (JSON, format "moe-placement-plan" version 1). Reading validates (see Validate(Plan)); unknown keys are
// ignored, so that newer files can be read. Errors name file, key, what was got and the limit.
absl::StatusOr<Plan> ReadPlan(const std::string& path);
absl::StatusOr<Plan> ParsePlan(const std::string& json, const std::string& name);
std::string PlanToJson(const Plan& plan);
// Replaces `path` atomically: temporary file in the same folder, fsync, rename.
absl::Status WritePlan(const std::string& path, const Plan& plan);

// The JSON object of `figures` with the contract's keys, as `evaluate --json` prints it.
std::string FiguresToJson(const Figures& figures);

// One request's home in an assignments file ({"request_id":"...","node":2}, optional microbatch).
struct Assignment {
  std::string request_id;
  NodeId node;
  int microbatch = -1;   // -1: not stated
};
absl::StatusOr<std::vector<Assignment>> ReadAssignments(const std::string& path);
absl::Status WriteAssignments(const std::string& path, absl::Span<const Assignment> assignments);
// Homes in the order of traffic.requests. NOT_FOUND names a request without an assignment; INVALID_ARGUMENT a node outside 0 .. nodes - 1.
absl::StatusOr<std::vector<NodeId>> HomesOf(const Traffic& traffic, absl::Span<const Assignment> assignments, int nodes);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_PLAN_FILE_H_
