#include "core/io/json_object.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace advisor {
namespace {

const nlohmann::json& EmptyObject() {
  static const nlohmann::json& empty = *new nlohmann::json(nlohmann::json::object());
  return empty;
}

// Whether `value` is an integer of [low, high].
bool IsIntegerIn(const nlohmann::json& value, int64_t low, int64_t high, int64_t* out) {
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() &&
       value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()})) {
    return false;
  }
  *out = value.get<int64_t>();
  return *out >= low && *out <= high;
}

}  // namespace

absl::StatusOr<nlohmann::json> ParseJson(const std::string& text, const std::string& where) {
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    if (e.byte > text.size()) {
      return absl::DataLossError(
          absl::StrCat(where, ": ends inside a value: it was cut; copy or write the file again"));
    }
    // The library's own text may quote all of a long value.
    return absl::InvalidArgumentError(absl::StrFormat("%s: not JSON at byte %d", where, e.byte));
  } catch (const nlohmann::json::exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": not JSON: a number is out of range"));
  }
}

std::string ToText(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Shown(const nlohmann::json& value) {
  constexpr size_t kShown = 60;
  if (value.is_array() && value.size() > 8) {
    return absl::StrFormat("a list of %d values", value.size());
  }
  if (value.is_object()) {
    return "an object";
  }
  std::string text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.size() <= kShown ? text : absl::StrCat(text.substr(0, kShown), "...");
}

bool IsPrintable(const std::string& text, size_t limit) {
  if (text.size() > limit) {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    // C0 and DEL, and C1 (U+0080 .. U+009F) in UTF-8.
    const bool c1 =
        c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
    if (c < 0x20 || c == 0x7f || c1) {
      return false;
    }
  }
  return true;
}

JsonObject::JsonObject(const nlohmann::json& value, std::string where, std::string path)
    : value_(&value), where_(std::move(where)), path_(std::move(path)) {
  if (!value.is_object()) {
    status_ =
        absl::InvalidArgumentError(absl::StrCat(where_, ": ", path_.empty() ? "" : path_ + " ",
                                                "is ", Shown(value), ", must be an object"));
    value_ = &EmptyObject();
  }
}

const nlohmann::json* JsonObject::Find(const char* key) const {
  const auto it = value_->find(key);
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

std::string JsonObject::Path(const char* key) const {
  return path_.empty() ? key : absl::StrCat(path_, ".", key);
}

void JsonObject::Fail(const char* key, const std::string& message) {
  Merge(absl::InvalidArgumentError(absl::StrCat(where_, ": ", Path(key), " ", message)));
}

void JsonObject::Check(const absl::Status& status) {
  if (!status.ok()) {
    Merge(absl::Status(status.code(), absl::StrCat(where_, ": ", status.message())));
  }
}

void JsonObject::Merge(const absl::Status& status) {
  if (status_.ok()) {
    status_ = status;
  }
}

const nlohmann::json* JsonObject::Read(const char* key, bool required) {
  const nlohmann::json* value = Find(key);
  if (value == nullptr && required) {
    Fail(key, "is missing");
  }
  return value;
}

bool JsonObject::Integer(const char* key, int64_t low, int64_t high, bool required, int64_t* out) {
  const nlohmann::json* value = Read(key, required);
  if (value == nullptr) {
    return false;
  }
  if (!IsIntegerIn(*value, low, high, out)) {
    Fail(key, absl::StrFormat("is %s, must be an integer %d .. %d", Shown(*value), low, high));
    return false;
  }
  return true;
}

bool JsonObject::IntegerList(const char* key, int64_t low, int64_t high,
                             std::vector<int64_t>* out) {
  const nlohmann::json* value = Read(key);
  if (value == nullptr) {
    return false;
  }
  if (!value->is_array()) {
    Fail(key, absl::StrFormat("is %s, must be a list of integers", Shown(*value)));
    return false;
  }
  out->resize(value->size());
  for (size_t i = 0; i < value->size(); ++i) {
    if (!IsIntegerIn((*value)[i], low, high, &(*out)[i])) {
      Fail(key, absl::StrFormat("has %s at index %d, must be integers %d .. %d", Shown((*value)[i]),
                                i, low, high));
      return false;
    }
  }
  return true;
}

void JsonObject::ReadUint64(const char* key, uint64_t* out) {
  const nlohmann::json* value = Read(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_number_unsigned()) {
    Fail(key, absl::StrFormat("is %s, must be an integer 0 .. 2^64 - 1", Shown(*value)));
    return;
  }
  *out = value->get<uint64_t>();
}

void JsonObject::ReadDouble(const char* key, double low, double high, double* out, bool required) {
  const nlohmann::json* value = Read(key, required);
  if (value == nullptr) {
    return;
  }
  const double number =
      value->is_number() ? value->get<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!(number >= low && number <= high)) {
    Fail(key, absl::StrFormat("is %s, must be a number %g .. %g", Shown(*value), low, high));
    return;
  }
  *out = number;
}

void JsonObject::ReadBool(const char* key, bool* out) {
  const nlohmann::json* value = Read(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_boolean()) {
    Fail(key, absl::StrFormat("is %s, must be true or false", Shown(*value)));
    return;
  }
  *out = value->get<bool>();
}

void JsonObject::ReadString(const char* key, std::string* out, bool required) {
  const nlohmann::json* value = Read(key, required);
  if (value == nullptr) {
    return;
  }
  if (!value->is_string()) {
    Fail(key, absl::StrFormat("is %s, must be text", Shown(*value)));
    return;
  }
  *out = value->get_ref<const std::string&>();
}

void JsonObject::ReadStringList(const char* key, std::vector<std::string>* out) {
  const nlohmann::json* value = Read(key);
  if (value == nullptr) {
    return;
  }
  if (!value->is_array()) {
    Fail(key, absl::StrFormat("is %s, must be a list of text", Shown(*value)));
    return;
  }
  out->clear();
  for (const nlohmann::json& item : *value) {
    if (!item.is_string()) {
      Fail(key, absl::StrFormat("has %s, must be a list of text", Shown(item)));
      return;
    }
    out->push_back(item.get_ref<const std::string&>());
  }
}

void JsonObject::ReadFormat(const char* format, int version) {
  std::string got_format;
  int got_version = 0;
  ReadString("format", &got_format, true);
  if (status_.ok() && got_format != format) {
    Fail("format", absl::StrCat("is ", Shown(got_format), ", must be \"", format, "\""));
  }
  ReadInt("version", version, version, &got_version, true);
}

JsonObject JsonObject::Item(const char* key, const nlohmann::json& value, size_t index) const {
  return JsonObject(value, where_, absl::StrCat(Path(key), "[", index, "]"));
}

JsonObject JsonObject::ReadObject(const char* key, bool required) const {
  const nlohmann::json* value = Find(key);
  JsonObject object(value == nullptr ? EmptyObject() : *value, where_, Path(key));
  if (value == nullptr && required) {
    object.Merge(absl::InvalidArgumentError(absl::StrCat(where_, ": ", Path(key), " is missing")));
  }
  return object;
}

}  // namespace advisor
