#ifndef ADVISOR_PROTO_CONVERT_STATUS_H_
#define ADVISOR_PROTO_CONVERT_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace advisor {

// The codes have the same numbers; a message is cut at 1024 bytes. A reason ("MODEL_MISMATCH: ...")
// travels as a google.rpc.ErrorInfo of domain "advisor.v1" too. UNAVAILABLE and RESOURCE_EXHAUSTED
// have a RetryInfo, which what gRPC itself refuses, as an oversize message, has not. An
// INVALID_ARGUMENT that begins with a field ("hello.node has ...", "phase is ...") names it in a
// google.rpc.BadRequest.
grpc::Status ToGrpc(const absl::Status& status);
// What the peer says of trying again stays with the status, for RetryDelayOf().
absl::Status FromGrpc(const grpc::Status& status);
// The same status, whose RetryInfo asks to wait so long, in whole milliseconds; else it is a
// second.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);
// How long the peer asked to wait before trying again; zero: it did not.
absl::Duration RetryDelayOf(const absl::Status& status);

// The leading reason of a status' message ("MODEL_MISMATCH"), or empty.
std::string ReasonOf(const absl::Status& status);
// The field that a message begins with, or empty.
std::string FieldOf(const absl::Status& status);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_STATUS_H_
