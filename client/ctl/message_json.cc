#include "client/ctl/message_json.h"

#include <google/protobuf/descriptor.h>

#include <cctype>
#include <string>

namespace advisor::client {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Json = nlohmann::ordered_json;

// CamelCase to UPPER_SNAKE: the prefix that values of enum `name` carry.
std::string Prefix(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (i > 0 && std::isupper(static_cast<unsigned char>(name[i]))) {
      out += '_';
    }
    out += static_cast<char>(std::toupper(static_cast<unsigned char>(name[i])));
  }
  return out + "_";
}

Json Scalar(const Message& m, const FieldDescriptor& f) {
  const auto& r = *m.GetReflection();
  switch (f.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return r.GetInt32(m, &f);
    case FieldDescriptor::CPPTYPE_INT64:
      return r.GetInt64(m, &f);
    case FieldDescriptor::CPPTYPE_UINT32:
      return r.GetUInt32(m, &f);
    case FieldDescriptor::CPPTYPE_UINT64:
      return r.GetUInt64(m, &f);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return r.GetDouble(m, &f);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return r.GetFloat(m, &f);
    case FieldDescriptor::CPPTYPE_BOOL:
      return r.GetBool(m, &f);
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumName(*r.GetEnum(m, &f));
    case FieldDescriptor::CPPTYPE_STRING:
      return r.GetString(m, &f);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(r.GetMessage(m, &f));
  }
  return nullptr;
}

Json List(const Message& m, const FieldDescriptor& f) {
  const auto& r = *m.GetReflection();
  Json list = Json::array();
  for (int i = 0; i < r.FieldSize(m, &f); ++i) {
    if (f.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      list.push_back(ToJson(r.GetRepeatedMessage(m, &f, i)));
    } else if (f.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      list.push_back(r.GetRepeatedString(m, &f, i));
    } else if (f.cpp_type() == FieldDescriptor::CPPTYPE_UINT32) {
      list.push_back(r.GetRepeatedUInt32(m, &f, i));
    }
  }
  return list;
}

}  // namespace

std::string EnumName(const google::protobuf::EnumValueDescriptor& value) {
  std::string name = value.name();
  const std::string prefix = Prefix(value.type()->name());
  if (name.rfind(prefix, 0) == 0) {
    name.erase(0, prefix.size());
  }
  for (char& c : name) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return name;
}

Json ToJson(const Message& message) {
  Json out = Json::object();
  const auto& reflection = *message.GetReflection();
  const google::protobuf::Descriptor& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.type() == FieldDescriptor::TYPE_BYTES) {
      continue;
    }
    if (field.is_repeated()) {
      out[field.name()] = List(message, field);
    } else if (!field.has_presence() || reflection.HasField(message, &field)) {
      out[field.name()] = Scalar(message, field);
    }
  }
  return out;
}

}  // namespace advisor::client
