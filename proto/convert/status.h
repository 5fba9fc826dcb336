#ifndef ADVISOR_PROTO_CONVERT_STATUS_H_
#define ADVISOR_PROTO_CONVERT_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace advisor {

// The codes of both have the same numbers. A message longer than 1024 bytes is cut: it travels in
// an HTTP/2 header. An error that a program tells apart starts with its reason in capitals and a
// colon ("MODEL_MISMATCH: engine runs ...").
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// The leading reason of a status' message ("MODEL_MISMATCH"), or empty.
std::string ReasonOf(const absl::Status& status);

}  // namespace advisor

#endif  // ADVISOR_PROTO_CONVERT_STATUS_H_
