#ifndef ADVISOR_CORE_IO_PLAN_FILE_H_
#define ADVISOR_CORE_IO_PLAN_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/io/assignments_file.h"
#include "core/io/atomic_file.h"
#include "core/model/plan.h"

namespace advisor {

// Plan files (JSON, format "moe-placement-plan" version 1). Reading validates (see Validate(Plan));
// unknown keys are ignored, so that newer files can be read. Errors name file, key, what was got
// and the limit.
// Where the plan's model leaves hidden_size or the bytes per value out, those of `defaults` hold:
// the trace's, when a plan is judged on one.
absl::StatusOr<Plan> ReadPlan(const std::string& path, const ModelSpec& defaults = {});
absl::StatusOr<Plan> ParsePlan(const std::string& json, const std::string& name,
                               const ModelSpec& defaults = {});
std::string PlanToJson(const Plan& plan);
// Replaces `path` atomically: temporary file in the same folder, fsync, rename.
absl::Status WritePlan(const std::string& path, const Plan& plan);

// The JSON object of `figures` with the contract's keys, as `evaluate --json` prints it.
std::string FiguresToJson(const Figures& figures);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_PLAN_FILE_H_
