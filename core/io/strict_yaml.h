#ifndef ADVISOR_CORE_IO_STRICT_YAML_H_
#define ADVISOR_CORE_IO_STRICT_YAML_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace advisor {

// A YAML mapping read strictly, for deployment and daemon configuration. Usage: read every known
// key, of nested maps too, then Finish() the outermost map. The first error sticks and later reads
// do nothing, so a reader is a straight list of keys. Errors are INVALID_ARGUMENT "file:line:
// key.path is X, must be Y".
//
// What yaml-cpp lets pass and this does not: doubled keys, unknown keys, octal-looking and
// overflowing numbers, values of another type (a quoted number is text, `yes` is no boolean),
// several documents.
class StrictMap {
 public:
  static absl::StatusOr<StrictMap> ParseFile(const std::string& path);
  // `name` stands for the file in errors.
  static absl::StatusOr<StrictMap> ParseText(const std::string& yaml, const std::string& name);
  ~StrictMap();
  StrictMap(StrictMap&&) noexcept;
  StrictMap& operator=(StrictMap&&) noexcept;

  bool Has(const char* key) const;
  // Whether the value of `key` is a scalar rather than a list or mapping.
  bool IsScalar(const char* key) const;
  // Required variants fail on a missing key; the others leave *out alone. Ranges are inclusive.
  template <typename Int>
  void ReadInt(const char* key, int64_t low, int64_t high, Int* out, bool required = false) {
    int64_t value = 0;
    if (Integer(key, low, high, required, &value)) {
      *out = static_cast<Int>(value);
    }
  }
  void ReadDouble(const char* key, double low, double high, double* out, bool required = false);
  void ReadBool(const char* key, bool* out, bool required = false);
  void ReadString(const char* key, std::string* out, bool required = false);
  // One of `allowed`; *out is its index.
  void ReadEnum(const char* key, const std::vector<std::string>& allowed, int* out,
                bool required = false);
  template <typename Int>
  void ReadIntList(const char* key, int64_t low, int64_t high, std::vector<Int>* out) {
    std::vector<int64_t> values;
    if (IntegerList(key, low, high, &values)) {
      out->assign(values.begin(), values.end());
    }
  }
  void ReadStringList(const char* key, std::vector<std::string>* out);
  // A nested mapping. Absent and not required: an empty map.
  StrictMap ReadMap(const char* key, bool required = false);
  // A list of mappings.
  std::vector<StrictMap> ReadMapList(const char* key, bool required = false);

  // Adds an error of the caller's own about `key`: "file:line: key.path <message>".
  void Fail(const char* key, const std::string& message);
  // Adds `status`, unless it is OK, with the position of `key` before its text; its code stays.
  void Check(const char* key, const absl::Status& status);
  // The first error of the document so far.
  const absl::Status& status() const;
  // That, else an error for the first key that nobody read in this map or a map read from it.
  absl::Status Finish();

 private:
  struct Rep;
  explicit StrictMap(std::shared_ptr<Rep> rep);
  bool Integer(const char* key, int64_t low, int64_t high, bool required, int64_t* out);
  bool IntegerList(const char* key, int64_t low, int64_t high, std::vector<int64_t>* out);

  std::shared_ptr<Rep> rep_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_STRICT_YAML_H_
