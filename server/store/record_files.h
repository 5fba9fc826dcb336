#ifndef ADVISOR_SERVER_STORE_RECORD_FILES_H_
#define ADVISOR_SERVER_STORE_RECORD_FILES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/store/record.h"

namespace advisor::server {

// Copies of the last two records of every deployment, as files of their own in a folder beside the
// database: when the database is damaged beyond reading, the last plan is still there.
class RecordFiles {
 public:
  explicit RecordFiles(std::string folder) : folder_(std::move(folder)) {}

  // The newest file becomes the second newest, unless it has the position of `text`.
  absl::Status Write(const RecordText& text) const;
  // Readable ones, newest first; hashes are not checked here.
  std::vector<RecordText> Read(const std::string& deployment) const;

 private:
  std::string Path(const std::string& deployment, const char* which) const;

  std::string folder_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_STORE_RECORD_FILES_H_
