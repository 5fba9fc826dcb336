#ifndef ADVISOR_PROTO_CONVERT_PLAN_H_
#define ADVISOR_PROTO_CONVERT_PLAN_H_

#include "absl/status/statusor.h"
#include "advisor/v1/plan.pb.h"
#include "core/session/messages.h"

namespace advisor {

// The plan protocol. FromProto() checks what needs no state, as in proto/convert/report.h.

v1::SubscribeHello ToProto(const SubscriberHello& hello);
// FAILED_PRECONDITION "PROTOCOL_MISMATCH: ..." when this build's protocol is not in the range.
absl::StatusOr<SubscriberHello> FromProto(const v1::SubscribeHello& hello);

v1::Ack ToProto(const PlanAck& ack);
absl::StatusOr<PlanAck> FromProto(const v1::Ack& ack);

v1::UpToDate ToProto(const UpToDate& message);
v1::Progress ToProto(const Progress& message);
v1::Decision ToProto(const RolloutDecision& decision);
absl::StatusOr<RolloutDecision> FromProto(const v1::Decision& decision);

// A delta where update.base is set and differs only in rows; else full.
v1::PlacementUpdate ToProto(const PlacementUpdate& update);

// What a PlacementUpdate carries. The plan has no deployment name, no grouping, and of `predicted`
// only the figures on the deployment's phase.
struct DecodedPlacement {
  Plan plan;
  PlacementMode mode = PlacementMode::kAdvisory;
  uint64_t content_hash = 0;
};
// Decodes an update. `base` is the plan held by the receiver, which a delta is applied to; may be
// null. Shapes are checked and the content hash compared; the caller still has to Validate() the
// plan. Errors, with the NACK reason they stand for:
//   INVALID_ARGUMENT     cannot be decoded: a field out of range or a wrong size (kDecode)
//   DATA_LOSS            decoded, but is not what the hash says (kHashMismatch)
//   FAILED_PRECONDITION  a delta against a plan that `base` is not: subscribe without a position
absl::StatusOr<DecodedPlacement> FromProto(const v1::PlacementUpdate& update, const Plan* base);

v1::GroupingUpdate ToProto(const GroupingUpdate& update);

struct DecodedGrouping {
  Grouping grouping;
  Position position;
  Position needs_placement;  // {0, 0}: none
};
// Errors: INVALID_ARGUMENT (kDecode), DATA_LOSS (kHashMismatch).
absl::StatusOr<DecodedGrouping> FromProto(const v1::GroupingUpdate& update);

v1::SubscribeResponse ToProto(const SubscriberMessage& message);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_PLAN_H_
