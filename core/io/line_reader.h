#ifndef ADVISOR_CORE_IO_LINE_READER_H_
#define ADVISOR_CORE_IO_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace advisor {

// The longest line of any file this project reads.
inline constexpr size_t kMaxLineBytes = size_t{256} << 20;

// Lines of a plain or gzip file, told apart by content. One buffer, reused: Next() costs one copy
// of the line.
class LineReader {
 public:
  static absl::StatusOr<std::unique_ptr<LineReader>> Open(const std::string& path);
  // Lines of `text`, whose errors begin with `name`.
  static std::unique_ptr<LineReader> OfText(std::string text, std::string name);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  // The next line that is not blank, without its newline; false at the end. DATA_LOSS: a compressed
  // stream ends early or is corrupt. OUT_OF_RANGE: the line is longer than kMaxLineBytes.
  absl::StatusOr<bool> Next(std::string* line);

  // Of the line last returned.
  int64_t line_number() const { return line_number_; }
  // "file:line", how errors begin.
  std::string Where() const;

 private:
  LineReader(std::string path, void* gz, size_t buffer_bytes);
  absl::StatusOr<bool> NextRaw(std::string* line);
  absl::Status Refill();

  const std::string path_;
  void* const gz_;  // gzFile, or null: all there is lies in buffer_
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // unread part of buffer_
  bool at_end_ = false;
  int64_t line_number_ = 0;
};

// The whole of a file, at most kMaxLineBytes. NOT_FOUND, PERMISSION_DENIED, OUT_OF_RANGE.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_LINE_READER_H_
