#ifndef ADVISOR_CORE_IO_JSON_OBJECT_H_
#define ADVISOR_CORE_IO_JSON_OBJECT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace advisor {

// For the .cc files of core/io only: nlohmann's types and exceptions stay inside this folder.

// INVALID_ARGUMENT "where: not JSON at byte N"; DATA_LOSS where the text ends inside a value.
absl::StatusOr<nlohmann::json> ParseJson(const std::string& text, const std::string& where);

// Members of one JSON object, read by type. The first error sticks and later reads do nothing, so
// that a reader is a straight list of keys; keys nobody reads are ignored. Errors are
// INVALID_ARGUMENT "where: path.key is X, must be Y". The same names as StrictMap, so that one list
// of keys serves YAML and JSON (see model_fields.h).
class JsonObject {
 public:
  // `value` must outlive this object and everything read from it. `path` is "" for a whole
  // document.
  JsonObject(const nlohmann::json& value, std::string where, std::string path = "");

  bool Has(const char* key) const { return Find(key) != nullptr; }
  template <typename Int>
  void ReadInt(const char* key, int64_t low, int64_t high, Int* out, bool required = false) {
    int64_t value = 0;
    if (Integer(key, low, high, required, &value)) {
      *out = static_cast<Int>(value);
    }
  }
  void ReadUint64(const char* key, uint64_t* out);
  void ReadDouble(const char* key, double low, double high, double* out, bool required = false);
  void ReadBool(const char* key, bool* out);
  void ReadString(const char* key, std::string* out, bool required = false);
  template <typename Int>
  void ReadIntList(const char* key, int64_t low, int64_t high, std::vector<Int>* out) {
    std::vector<int64_t> values;
    if (IntegerList(key, low, high, &values)) {
      out->assign(values.begin(), values.end());
    }
  }
  void ReadStringList(const char* key, std::vector<std::string>* out);
  // `format` and `version` of a file must be these.
  void ReadFormat(const char* format, int version);
  // A nested object; empty where absent and not required. Its errors must be passed on with
  // Merge().
  JsonObject ReadObject(const char* key, bool required = false) const;
  // Entry `index` of the list `key`.
  JsonObject Item(const char* key, const nlohmann::json& value, size_t index) const;
  // The value itself, null where absent. An error where required and absent.
  const nlohmann::json* Read(const char* key, bool required = false);

  // Adds an error of the caller's own about `key`: "where: path.key <message>".
  void Fail(const char* key, const std::string& message);
  // Adds `status`, unless it is OK, with "where: " before its text; its code stays.
  void Check(const absl::Status& status);
  // Adds the status of a nested object as it is.
  void Merge(const absl::Status& status);
  const absl::Status& status() const { return status_; }

 private:
  const nlohmann::json* Find(const char* key) const;
  bool Integer(const char* key, int64_t low, int64_t high, bool required, int64_t* out);
  bool IntegerList(const char* key, int64_t low, int64_t high, std::vector<int64_t>* out);
  std::string Path(const char* key) const;

  const nlohmann::json* value_;
  std::string where_, path_;
  absl::Status status_;
};

// The compact JSON text of `value`; bytes that are not UTF-8 are replaced.
std::string ToText(const nlohmann::ordered_json& value);

// A value as errors show it: at most 60 bytes of its JSON text, one line.
std::string Shown(const nlohmann::json& value);

// Printable text (UTF-8 without control characters) of at most `limit` bytes.
bool IsPrintable(const std::string& text, size_t limit);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_JSON_OBJECT_H_
