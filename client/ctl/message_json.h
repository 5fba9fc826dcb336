#ifndef ADVISOR_CLIENT_CTL_MESSAGE_JSON_H_
#define ADVISOR_CLIENT_CTL_MESSAGE_JSON_H_

#include <google/protobuf/message.h>

#include <nlohmann/json.hpp>

namespace advisor::client {

// A message as an object with the proto's field names. Unlike protobuf's own JSON: 64-bit integers
// are numbers, enums are lower-case names without their type's prefix, bytes are left out; scalars
// that are unset but may not be, and empty lists, are there; unset messages and optionals are not.
nlohmann::ordered_json ToJson(const google::protobuf::Message& message);

// "DECISION_REASON_FIRST_PLAN" of enum DecisionReason is "first_plan".
std::string EnumName(const google::protobuf::EnumValueDescriptor& value);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_MESSAGE_JSON_H_
