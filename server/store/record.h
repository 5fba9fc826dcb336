#ifndef ADVISOR_SERVER_STORE_RECORD_H_
#define ADVISOR_SERVER_STORE_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "core/engine/event.h"

namespace advisor::server {

// A PlanRecord as text: a head of small JSON, and the plan as the bytes of a StoredPlan. Each
// carries a hash of its own, so that any damage on disk is seen.
struct RecordText {
  std::string deployment;
  Position position;
  std::string head, plan;
  uint64_t head_hash = 0;  // over deployment, position, head and plan_hash
  uint64_t plan_hash = 0;
};

RecordText ToText(const std::string& deployment, const PlanRecord& record);
// The record without its plan, as the head tells it: nothing is checked but that it can be read.
absl::StatusOr<PlanRecord> ReadHead(const RecordText& text);
// DATA_LOSS: a hash differs. INVALID_ARGUMENT: the plan breaks a rule or the head cannot be read.
absl::StatusOr<PlanRecord> FromText(const RecordText& text);

std::string ToText(const DeploymentState& state);
absl::StatusOr<DeploymentState> StateFromText(const std::string& text);
// Of a text that belongs to a deployment.
uint64_t HashOf(const std::string& deployment, const std::string& text);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_STORE_RECORD_H_
