#ifndef ADVISOR_SERVER_CONVERT_STORED_PLAN_H_
#define ADVISOR_SERVER_CONVERT_STORED_PLAN_H_

#include <string>

#include "absl/status/statusor.h"
#include "core/model/plan.h"

namespace advisor::server {

// A plan as bytes for the store: an advisor.v1.StoredPlan. Everything of the plan returns.
std::string ToBytes(const Plan& plan);
// A valid plan of `deployment`. INVALID_ARGUMENT: no StoredPlan, or it breaks a rule; DATA_LOSS: a
// content hash differs.
absl::StatusOr<Plan> PlanFromBytes(const std::string& bytes, const std::string& deployment);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_CONVERT_STORED_PLAN_H_
