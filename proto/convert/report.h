#ifndef ADVISOR_PROTO_CONVERT_REPORT_H_
#define ADVISOR_PROTO_CONVERT_REPORT_H_

#include "absl/status/statusor.h"
#include "advisor/v1/report.pb.h"
#include "core/session/messages.h"

namespace advisor {

// The report protocol. FromProto() checks what needs no state: identities, limits of proto/convert/
// limits.h, enums, finite numbers; INVALID_ARGUMENT names the field. It does not look into counts
// and sampled experts: a bad block is rejected where the model is known, and the rest of its frame
// counts. Taking an rvalue, it moves the bytes out instead of copying them.

v1::Hello ToProto(const ReporterHello& hello);
// FAILED_PRECONDITION "PROTOCOL_MISMATCH: ..." when this build's protocol is not in the range.
absl::StatusOr<ReporterHello> FromProto(const v1::Hello& hello);

v1::Frame ToProto(Frame frame);
absl::StatusOr<Frame> FromProto(v1::Frame&& frame);

v1::Window ToProto(WindowReplay window);
absl::StatusOr<WindowReplay> FromProto(v1::Window&& window);

v1::HelloAck ToProto(const HelloAck& ack);
absl::StatusOr<HelloAck> FromProto(const v1::HelloAck& ack);

// At most kMaxAckRejects rejects are carried; rejected_blocks counts all.
v1::FrameAck ToProto(const FrameAck& ack);
absl::StatusOr<FrameAck> FromProto(const v1::FrameAck& ack);

// 16 bytes, big-endian halves. Empty or of another size: INVALID_ARGUMENT.
std::string ToBytes(const Incarnation& incarnation);
absl::StatusOr<Incarnation> IncarnationFromBytes(const std::string& bytes);

// FAILED_PRECONDITION "PROTOCOL_MISMATCH: ..." unless low <= kProtocol <= high.
absl::Status ValidateProtocolRange(uint32_t low, uint32_t high);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_REPORT_H_
