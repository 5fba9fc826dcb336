#ifndef ADVISOR_CLIENT_REACH_H_
#define ADVISOR_CLIENT_REACH_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "proto/convert/status.h"

namespace advisor::client {

// What a failed call to the daemon is for the operator: one line that says where and what to do.
inline absl::Status FromDaemon(const std::string& server, const grpc::Status& status) {
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
      status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    return absl::UnavailableError(absl::StrCat("cannot reach advisord at ", server, ": ",
                                               status.error_message(), "; is it running?"));
  }
  return FromGrpc(status);
}

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REACH_H_
