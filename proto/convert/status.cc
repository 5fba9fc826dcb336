#include "proto/convert/status.h"

#include <google/protobuf/unknown_field_set.h>

#include <algorithm>

namespace advisor {
namespace {
constexpr size_t kMaxStatusBytes = 1024;
constexpr absl::Duration kRetryDelay = absl::Seconds(1);

constexpr char kTypePrefix[] = "type.googleapis.com/google.rpc.";
constexpr char kRetryInfo[] = "type.googleapis.com/google.rpc.RetryInfo";

// Messages of google/rpc/status.proto and error_details.proto, field by field: the distribution
// packages no code for them.
using Fields = google::protobuf::UnknownFieldSet;

std::string Serialized(const Fields& fields) {
  std::string bytes;
  fields.SerializeToString(&bytes);
  return bytes;
}

void AddDetail(const char* type, const std::string& detail, Fields* status) {
  Fields any;
  any.AddLengthDelimited(1, std::string(kTypePrefix) + type);
  any.AddLengthDelimited(2, detail);
  status->AddLengthDelimited(3, Serialized(any));
}

// The last length-delimited field of this number; empty: none, or no message at all.
std::string TextField(const std::string& bytes, int number) {
  Fields fields;
  std::string text;
  if (fields.ParseFromString(bytes)) {
    for (int i = 0; i < fields.field_count(); ++i) {
      const auto& field = fields.field(i);
      if (field.number() == number &&
          field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED) {
        text = field.length_delimited();
      }
    }
  }
  return text;
}

// The RetryInfo among the details of a status, serialized; empty: none.
std::string RetryInfoIn(const std::string& details) {
  Fields status;
  if (status.ParseFromString(details)) {
    for (int i = 0; i < status.field_count(); ++i) {
      const auto& detail = status.field(i);
      if (detail.number() == 3 &&
          detail.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED &&
          TextField(detail.length_delimited(), 1) == kRetryInfo) {
        return TextField(detail.length_delimited(), 2);
      }
    }
  }
  return "";
}

// A google.rpc.RetryInfo.
std::string RetryInfo(absl::Duration delay_asked) {
  const int64_t ms = absl::ToInt64Milliseconds(delay_asked);
  Fields delay, info;
  delay.AddVarint(1, static_cast<uint64_t>(ms / 1000));
  if (ms % 1000 != 0) {
    delay.AddVarint(2, static_cast<uint64_t>(ms % 1000 * 1'000'000));
  }
  info.AddLengthDelimited(1, Serialized(delay));
  return Serialized(info);
}

// A google.rpc.Status with an ErrorInfo where the status has a reason, a RetryInfo where trying
// again helps, and a BadRequest where a field is at fault; empty: none of them.
std::string Details(const absl::Status& status, const std::string& message) {
  Fields out;
  if (const std::string reason = ReasonOf(status); !reason.empty()) {
    Fields info;
    info.AddLengthDelimited(1, reason);
    info.AddLengthDelimited(2, "advisor.v1");
    AddDetail("ErrorInfo", Serialized(info), &out);
  }
  if (absl::IsUnavailable(status) || absl::IsResourceExhausted(status)) {
    const absl::Duration asked = RetryDelayOf(status);
    AddDetail("RetryInfo", RetryInfo(asked > absl::ZeroDuration() ? asked : kRetryDelay), &out);
  }
  if (const std::string field = FieldOf(status);
      absl::IsInvalidArgument(status) && !field.empty()) {
    Fields violation, request;
    violation.AddLengthDelimited(1, field);
    violation.AddLengthDelimited(2, message);
    request.AddLengthDelimited(1, Serialized(violation));
    AddDetail("BadRequest", Serialized(request), &out);
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
  absl::Status out(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (const std::string retry = RetryInfoIn(status.error_details()); !retry.empty()) {
    out.SetPayload(kRetryInfo, absl::Cord(retry));
  }
  return out;
}

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  status.SetPayload(kRetryInfo, absl::Cord(RetryInfo(delay)));
  return status;
}

absl::Duration RetryDelayOf(const absl::Status& status) {
  const absl::optional<absl::Cord> info = status.GetPayload(kRetryInfo);
  Fields delay;
  absl::Duration out;
  if (info.has_value() && delay.ParseFromString(TextField(std::string(*info), 1))) {
    for (int i = 0; i < delay.field_count(); ++i) {
      if (delay.field(i).type() == google::protobuf::UnknownField::TYPE_VARINT) {
        const auto value = static_cast<int64_t>(delay.field(i).varint());
        out += delay.field(i).number() == 1 ? absl::Seconds(value) : absl::Nanoseconds(value);
      }
    }
  }
  return std::max(out, absl::ZeroDuration());
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

std::string FieldOf(const absl::Status& status) {
  const std::string message(status.message());
  const size_t end = message.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.[]");
  if (end == std::string::npos || end == 0) {
    return "";
  }
  const bool named = message.compare(end, 5, " has ") == 0 || message.compare(end, 4, " is ") == 0;
  return named ? message.substr(0, end) : "";
}

}  // namespace advisor
