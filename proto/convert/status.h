#ifndef ADVISOR_PROTO_CONVERT_STATUS_H_
#define ADVISOR_PROTO_CONVERT_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace advisor {

// The codes have the same numbers; a message is cut at 1024 bytes. A reason ("MODEL_MISMATCH: ...")
// travels as a google.rpc.ErrorInfo of domain "advisor.v1" too. UNAVAILABLE and RESOURCE_EXHAUSTED
// have a RetryInfo, which what gRPC itself refuses, as an oversize message, has not.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// The leading reason of a status' message ("MODEL_MISMATCH"), or empty.
std::string ReasonOf(const absl::Status& status);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_STATUS_H_
