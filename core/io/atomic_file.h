#ifndef ADVISOR_CORE_IO_ATOMIC_FILE_H_
#define ADVISOR_CORE_IO_ATOMIC_FILE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace advisor {

// A file that appears under its name whole or not at all: written as a temporary file in the same
// folder, then fsync, rename and fsync of the folder. Until Commit() readers see the old file;
// without it the temporary file is removed.
class AtomicFile {
 public:
  enum class Compression { kNone, kGzip };

  // NOT_FOUND, PERMISSION_DENIED or UNAVAILABLE: the folder does not take a file. INVALID_ARGUMENT:
  // `path` is not a regular file (a device or folder would be replaced by the rename).
  static absl::StatusOr<std::unique_ptr<AtomicFile>> Create(const std::string& path,
                                                            Compression compression);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  absl::Status Append(const std::string& data);
  absl::Status Commit();  // once, last

 private:
  struct Stream;
  AtomicFile(std::string path, std::string temporary, std::unique_ptr<Stream> stream);

  const std::string path_, temporary_;
  std::unique_ptr<Stream> stream_;  // null once committed
};

// The whole of `content` at once.
absl::Status WriteFileAtomically(const std::string& path, const std::string& content);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_ATOMIC_FILE_H_
