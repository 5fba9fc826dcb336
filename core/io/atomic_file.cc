#include "core/io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"

namespace advisor {
namespace {

// Names tried before giving up on stale temporary files of an earlier process with the same id.
constexpr int kNameAttempts = 100;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
}

absl::Status Failure(int error, const std::string& path, const char* action) {
  return absl::ErrnoToStatus(error == 0 ? EIO : error, absl::StrCat("cannot ", action, " ", path));
}

// The rename is durable only once the folder is.
absl::Status SyncFolder(const std::string& path) {
  const std::string folder = FolderOf(path);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return Failure(errno, folder, "open folder");
  }
  // Some file systems do not sync folders (EINVAL); there the rename is as durable as it gets.
  const int error = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
  close(fd);
  return error == 0 ? absl::OkStatus() : Failure(error, folder, "sync folder");
}

}  // namespace

// zlib's gz stream writes plain files as well (mode "T").
struct AtomicFile::Stream {
  int fd = -1;
  gzFile gz = nullptr;  // owns a duplicate of fd, so that fd can be synced after gz is closed
  ~Stream() {
    if (gz != nullptr) {
      gzclose(gz);
    }
    if (fd >= 0) {
      close(fd);
    }
  }
};

AtomicFile::AtomicFile(std::string path, std::string temporary, std::unique_ptr<Stream> stream)
    : path_(std::move(path)), temporary_(std::move(temporary)), stream_(std::move(stream)) {}

AtomicFile::~AtomicFile() {
  if (stream_ != nullptr) {
    unlink(temporary_.c_str());
  }
}

absl::StatusOr<std::unique_ptr<AtomicFile>> AtomicFile::Create(const std::string& path,
                                                               Compression compression) {
  struct stat existing;
  if (stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot write ", path, ": it is not a regular file; name another file"));
  }
  static std::atomic<uint64_t> next{0};
  std::string temporary;
  auto stream = std::make_unique<Stream>();
  for (int i = 0; i < kNameAttempts && stream->fd < 0; ++i) {
    temporary = absl::StrCat(path, ".tmp-", getpid(), "-", next.fetch_add(1));
    stream->fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (stream->fd < 0 && errno != EEXIST) {
      break;
    }
  }
  if (stream->fd < 0) {
    return Failure(errno, temporary, "create");
  }
  std::unique_ptr<AtomicFile> file(new AtomicFile(path, temporary, std::move(stream)));
  const int duplicate = fcntl(file->stream_->fd, F_DUPFD_CLOEXEC, 0);
  if (duplicate < 0) {
    return Failure(errno, temporary, "write");
  }
  file->stream_->gz = gzdopen(duplicate, compression == Compression::kGzip ? "wb6" : "wbT");
  if (file->stream_->gz == nullptr) {
    close(duplicate);
    return absl::ResourceExhaustedError(absl::StrCat("cannot write ", path, ": out of memory"));
  }
  return file;
}

absl::Status AtomicFile::Append(const std::string& data) {
  // gzwrite takes an unsigned length and returns an int.
  constexpr size_t kPiece = size_t{1} << 30;
  for (size_t done = 0; done < data.size(); done += kPiece) {
    const size_t n = std::min(kPiece, data.size() - done);
    errno = 0;
    if (gzwrite(stream_->gz, data.data() + done, static_cast<unsigned>(n)) != static_cast<int>(n)) {
      return Failure(errno, path_, "write");
    }
  }
  return absl::OkStatus();
}

absl::Status AtomicFile::Commit() {
  errno = 0;
  if (gzclose(std::exchange(stream_->gz, nullptr)) != Z_OK) {
    return Failure(errno, path_, "write");
  }
  if (fsync(stream_->fd) != 0) {
    return Failure(errno, path_, "sync");
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return Failure(errno, path_, "rename the new file to");
  }
  stream_.reset();
  return SyncFolder(path_);
}

absl::Status WriteFileAtomically(const std::string& path, const std::string& content) {
  ASSIGN_OR_RETURN(std::unique_ptr<AtomicFile> file,
                   AtomicFile::Create(path, AtomicFile::Compression::kNone));
  RETURN_IF_ERROR(file->Append(content));
  return file->Commit();
}

}  // namespace advisor
