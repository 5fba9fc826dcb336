#include "proto/convert/status.h"

#include <algorithm>

namespace advisor {
namespace {
constexpr size_t kMaxStatusBytes = 1024;
}  // namespace

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) {
    return grpc::Status::OK;
  }
  std::string message(status.message());
  if (message.size() > kMaxStatusBytes) {
    message.resize(kMaxStatusBytes - 3);
    message += "...";
  }
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message);
}

absl::Status FromGrpc(const grpc::Status& status) {
  // Out-of-range codes of a strange peer become kUnknown.
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

std::string ReasonOf(const absl::Status& status) {
  const std::string message(status.message());
  const size_t colon = message.find(':');
  if (colon == std::string::npos) {
    return "";
  }
  const std::string reason = message.substr(0, colon);
  const bool capitals = std::all_of(reason.begin(), reason.end(),
                                    [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  return capitals ? reason : "";
}

}  // namespace advisor
