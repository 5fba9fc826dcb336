#ifndef ADVISOR_SERVER_STORE_SQLITE_STORE_H_
#define ADVISOR_SERVER_STORE_SQLITE_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/store/plan_store.h"
#include "server/store/record_files.h"
#include "server/store/sqlite.h"

namespace advisor::server {

// The embedded store: one SQLite file in write-ahead mode, synced at every write, and beside it in
// the folder <path>.records a copy of the last two records of each deployment.
//
// Damage costs the records it hit, not the daemon: a record with a wrong hash is skipped, a
// database that does not pass SQLite's check is moved to <path>.damaged-N and made new from every
// record of it and of the copies that is whole.
class SqliteStore final : public PlanStore {
 public:
  // UNAVAILABLE: another process has the file. PERMISSION_DENIED, RESOURCE_EXHAUSTED, INTERNAL: the
  // file cannot be used.
  static absl::StatusOr<std::unique_ptr<SqliteStore>> Open(const std::string& path, int kept_plans);

  absl::StatusOr<uint64_t> BeginEpoch() override;
  absl::StatusOr<LoadedDeployment> Load(const std::string& deployment) override;
  LoadedDeployment LoadOlder(const std::string& deployment) override;
  absl::Status StorePlan(const std::string& deployment, const PlanRecord& record) override;
  absl::Status StoreState(const std::string& deployment, const DeploymentState& state) override;

 private:
  SqliteStore(std::string path, int kept_plans, std::unique_ptr<Database> database);
  absl::Status CreateTables();
  absl::Status Insert(const RecordText& text);
  // What a damaged database still yields.
  struct Salvage {
    std::vector<RecordText> records;
    std::vector<std::pair<std::string, std::string>> states;  // deployment, text
    uint64_t epoch = 0;
  };
  // Records that Load() and LoadOlder() have still to read.
  struct Unread {
    std::vector<Position> positions;  // rising
    // As heads say that were not checked; a wrong head is that of a damaged record.
    Position oldest_committed = {UINT64_MAX, UINT64_MAX};
    std::vector<RecordText> copies;
    int taken = 0;
  };
  Unread Survey(const std::string& deployment, std::vector<std::string>* damages);
  // The record of the last position, from the database or its copy; takes it off.
  std::optional<PlanRecord> ReadNewest(const std::string& deployment, Unread* unread,
                                       std::vector<std::string>* damages);
  std::optional<DeploymentState> LoadState(const std::string& deployment,
                                           std::vector<std::string>* damages);
  static Salvage SalvageFrom(Database& database);
  absl::Status Restore(const Salvage& salvage);

  const std::string path_;
  const int kept_plans_;
  const RecordFiles copies_;
  std::unique_ptr<Database> database_;
  std::map<std::string, Unread> unread_;  // by deployment
  std::vector<std::string> damages_;      // of the whole file; told with every Load()
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_STORE_SQLITE_STORE_H_
