#include "core/io/line_reader.h"

#include <sys/stat.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"

namespace advisor {
namespace {

constexpr size_t kBufferBytes = 256 << 10;

gzFile Gz(void* gz) { return static_cast<gzFile>(gz); }

absl::StatusOr<gzFile> OpenForReading(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot read ", path, ": it is a folder; name a file"));
  }
  errno = 0;
  gzFile gz = gzopen(path.c_str(), "rbe");
  if (gz == nullptr) {
    return absl::ErrnoToStatus(errno == 0 ? ENOMEM : errno, absl::StrCat("cannot read ", path));
  }
  gzbuffer(gz, 128 << 10);
  return gz;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(const std::string& path) {
  ASSIGN_OR_RETURN(gzFile gz, OpenForReading(path));
  return std::unique_ptr<LineReader>(new LineReader(path, gz, kBufferBytes));
}

std::unique_ptr<LineReader> LineReader::OfText(std::string text, std::string name) {
  std::unique_ptr<LineReader> reader(new LineReader(std::move(name), nullptr, 0));
  reader->buffer_.assign(text.begin(), text.end());
  reader->end_ = text.size();
  return reader;
}

LineReader::LineReader(std::string path, void* gz, size_t buffer_bytes)
    : path_(std::move(path)), gz_(gz), buffer_(buffer_bytes) {}

LineReader::~LineReader() {
  if (gz_ != nullptr) {
    gzclose(Gz(gz_));
  }
}

std::string LineReader::Where() const { return absl::StrCat(path_, ":", line_number_); }

absl::Status LineReader::Refill() {
  begin_ = end_ = 0;
  if (gz_ == nullptr) {
    at_end_ = true;
    return absl::OkStatus();
  }
  const int n = gzread(Gz(gz_), buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int code = Z_OK;
  const char* text = gzerror(Gz(gz_), &code);
  if (n < 0 || code == Z_BUF_ERROR) {
    // Z_BUF_ERROR: the file ended inside the compressed stream.
    if (code == Z_ERRNO) {
      return absl::ErrnoToStatus(errno == 0 ? EIO : errno, absl::StrCat("cannot read ", path_));
    }
    const char* what = code == Z_BUF_ERROR ? "the compressed file ends too early" : text;
    return absl::DataLossError(absl::StrCat(path_, ": cut or corrupt after line ", line_number_,
                                            ": ", what, "; copy or write the file again"));
  }
  end_ = static_cast<size_t>(n);
  at_end_ = n == 0;
  return absl::OkStatus();
}

absl::StatusOr<bool> LineReader::NextRaw(std::string* line) {
  line->clear();
  while (true) {
    if (begin_ == end_) {
      if (!at_end_) {
        RETURN_IF_ERROR(Refill());
      }
      if (at_end_) {
        line_number_ += line->empty() ? 0 : 1;
        return !line->empty();
      }
    }
    const char* from = buffer_.data() + begin_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - begin_));
    const size_t n = newline == nullptr ? end_ - begin_ : static_cast<size_t>(newline - from);
    if (line->size() + n > kMaxLineBytes) {
      return absl::OutOfRangeError(
          absl::StrFormat("%s:%d: line is longer than %d bytes; split the request", path_,
                          line_number_ + 1, kMaxLineBytes));
    }
    line->append(from, n);
    begin_ += n;
    if (newline != nullptr) {
      ++begin_;
      ++line_number_;
      return true;
    }
  }
}

absl::StatusOr<bool> LineReader::Next(std::string* line) {
  while (true) {
    ASSIGN_OR_RETURN(const bool more, NextRaw(line));
    if (!more || line->find_first_not_of(" \t\r") != std::string::npos) {
      return more;
    }
  }
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  ASSIGN_OR_RETURN(gzFile gz, OpenForReading(path));
  std::string content;
  std::vector<char> piece(kBufferBytes);
  absl::Status status;
  int n = 0;
  while (status.ok() && (n = gzread(gz, piece.data(), static_cast<unsigned>(piece.size()))) > 0) {
    content.append(piece.data(), static_cast<size_t>(n));
    if (content.size() > kMaxLineBytes) {
      status =
          absl::OutOfRangeError(absl::StrFormat("%s is longer than %d bytes", path, kMaxLineBytes));
    }
  }
  int code = Z_OK;
  gzerror(gz, &code);
  if (status.ok() && (n < 0 || code == Z_BUF_ERROR)) {
    status = absl::DataLossError(
        absl::StrCat(path, ": cannot be read to its end; copy or write the file again"));
  }
  gzclose(gz);
  if (!status.ok()) {
    return status;
  }
  return content;
}

}  // namespace advisor
