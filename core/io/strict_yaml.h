#ifndef ADVISOR_CORE_IO_STRICT_YAML_H_
#define ADVISOR_CORE_IO_STRICT_YAML_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace advisor {

// A YAML mapping read strictly, for deployment and daemon configuration. Usage: read every known key with Read*(), then
// Finish(). The first error sticks and later reads do nothing, so a reader is a straight list of keys. Errors are
// INVALID_ARGUMENT "file:line: key.path: got X, must be Y".
//
// What yaml-cpp lets pass and this does not: doubled keys, unknown keys, octal-looking and overflowing numbers, values of
// another type, several documents.
class StrictMap {
 public:
  static absl::StatusOr<StrictMap> ParseFile(const std::string& path);
  static absl::StatusOr<StrictMap> ParseText(const std::string& yaml, const std::string& name);
  ~StrictMap();
  StrictMap(StrictMap&&) noexcept;
  StrictMap& operator=(StrictMap&&) noexcept;

  bool Has(const char* key) const;
  // Required variants fail on a missing key; the others leave *out alone. Ranges are inclusive.
  void ReadInt(const char* key, int64_t low, int64_t high, int64_t* out, bool required = false);
  void ReadDouble(const char* key, double low, double high, double* out, bool required = false);
  void ReadBool(const char* key, bool* out, bool required = false);
  void ReadString(const char* key, std::string* out, bool required = false);
  // One of `allowed`; *out is its index.
  void ReadEnum(const char* key, const std::vector<std::string>& allowed, int* out, bool required = false);
  void ReadIntList(const char* key, int64_t low, int64_t high, std::vector<int64_t>* out);
  void ReadStringList(const char* key, std::vector<std::string>* out);
  // A nested mapping; must be Finish()ed too. Absent and not required: an empty map.
  StrictMap ReadMap(const char* key, bool required = false);
  // A list of mappings.
  std::vector<StrictMap> ReadMapList(const char* key, bool required = false);
  // Whether the value of `key` is a list or mapping rather than a scalar.
  bool IsScalar(const char* key) const;

  // Adds an error of the caller's own about `key`, with its position.
  void Fail(const char* key, const std::string& message);
  // The first error of this map or of any map read from it; else an error for the first key nobody read.
  absl::Status Finish();

 private:
  struct Rep;
  explicit StrictMap(std::shared_ptr<Rep> rep);
  std::shared_ptr<Rep> rep_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_STRICT_YAML_H_
