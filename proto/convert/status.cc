#include "proto/convert/status.h"

#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

namespace advisor {
namespace {
constexpr size_t kMaxStatusBytes = 1024;
constexpr int kRetrySeconds = 1;

// Messages of google/rpc/status.proto and error_details.proto, field by field: the distribution
// packages no code for them.
using Fields = google::protobuf::UnknownFieldSet;

std::string Serialized(const Fields& fields) {
  std::string bytes;
  fields.SerializeToString(&bytes);
  return bytes;
}

void AddDetail(const char* type, const Fields& detail, Fields* status) {
  Fields any;
  any.AddLengthDelimited(1, std::string("type.googleapis.com/google.rpc.") + type);
  any.AddLengthDelimited(2, Serialized(detail));
  status->AddLengthDelimited(3, Serialized(any));
}

// A google.rpc.Status with an ErrorInfo where the status has a reason, and a RetryInfo where trying
// again helps; empty: neither.
std::string Details(const absl::Status& status, const std::string& message) {
  Fields out;
  if (const std::string reason = ReasonOf(status); !reason.empty()) {
    Fields info;
    info.AddLengthDelimited(1, reason);
    info.AddLengthDelimited(2, "advisor.v1");
    AddDetail("ErrorInfo", info, &out);
  }
  if (absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) {
    Fields delay, info;
    delay.AddVarint(1, kRetrySeconds);
    info.AddLengthDelimited(1, Serialized(delay));
    AddDetail("RetryInfo", info, &out);
  }
  if (out.empty()) {
    return "";
  }
  Fields all;
  all.AddVarint(1, static_cast<uint64_t>(status.code()));
  all.AddLengthDelimited(2, message);
  return Serialized(all) + Serialized(out);
}

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
  const std::string details = Details(status, message);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details);
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
