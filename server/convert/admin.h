#ifndef ADVISOR_SERVER_CONVERT_ADMIN_H_
#define ADVISOR_SERVER_CONVERT_ADMIN_H_

#include "absl/time/time.h"
#include "advisor/v1/admin.pb.h"
#include "core/engine/status.h"

namespace advisor::server {

// The engine's state as AdminService tells it. Ages are counted up to `now`.
v1::DeploymentStatus ToProto(const DeploymentStatus& status, absl::Time now);
v1::PlanSummary ToProto(const PlanRecord& record);
v1::DecisionRecord ToProto(const DecisionRecord& decision, absl::Time now);
v1::DecisionReason ToProto(DecisionReason reason);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_CONVERT_ADMIN_H_
