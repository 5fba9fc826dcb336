#ifndef ADVISOR_CORE_IO_TRACE_H_
#define ADVISOR_CORE_IO_TRACE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/model/request.h"

namespace advisor {

// Limits of one request in a trace, against files that would exhaust memory.
inline constexpr int kMaxTokensPerRequest = 1 << 20;  // known with their experts

// Reads a routing trace (.jsonl or .jsonl.gz) line by line. Errors name file, line, what was got
// and the limit; a file cut in the middle is DATA_LOSS, a bad value INVALID_ARGUMENT, a file that
// cannot be opened NOT_FOUND.
class TraceReader {
 public:
  static absl::StatusOr<std::unique_ptr<TraceReader>> Open(const std::string& path);
  virtual ~TraceReader() = default;
  virtual const ModelSpec& model() const = 0;
  virtual const std::string& source() const = 0;
  // "file:line" of the line last read, how errors about it begin.
  virtual std::string Where() const = 0;
  // Fills `request` (validated) and returns true; false at the end.
  virtual absl::StatusOr<bool> Next(Request* request) = 0;
};

// A whole trace. Request ids are unique, else INVALID_ARGUMENT.
absl::StatusOr<Traffic> ReadTrace(const std::string& path);

// The same of text that is not compressed; errors name it `name`.
absl::StatusOr<Traffic> ParseTrace(std::string text, const std::string& name);

// A trace's first line and the line of one request, with their newlines. INVALID_ARGUMENT: what a
// reader would refuse.
absl::StatusOr<std::string> TraceHeader(const Traffic& traffic);
absl::StatusOr<std::string> TraceLine(const ModelSpec& model, const Request& request);

// Writes .jsonl, or .jsonl.gz by the name's ending, to a temporary file renamed into place at the
// end: nothing half-written.
absl::Status WriteTrace(const std::string& path, const Traffic& traffic);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_TRACE_H_
