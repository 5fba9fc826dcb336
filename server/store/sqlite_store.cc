#include "server/store/sqlite_store.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"

namespace advisor::server {
namespace {

namespace fs = std::filesystem;

constexpr char kPlanColumns[] =
    "deployment, epoch, revision, head, head_hash, plan, plan_hash FROM plan";

RecordText RowOf(const Statement& row) {
  return {row.Bytes(0),   {row.Integer(1), row.Integer(2)},
          row.Bytes(3),   row.Bytes(5),
          row.Integer(4), row.Integer(6)};
}

// How far back a daemon goes of itself: to the placement in force, to the one that it would go back
// to from there, and so too among plans that are only advice. What is quarantined is no place to go
// to, nor is the same content again.
class Reach {
 public:
  explicit Reach(const std::vector<uint64_t>& quarantined)
      : quarantined_(quarantined.begin(), quarantined.end()) {}

  void Add(const PlanRecord& record) {
    if (record.quarantined || quarantined_.count(record.content_hash) != 0) {
      return;
    }
    advice_.insert(record.content_hash);
    if (record.committed) {
      committed_.insert(record.content_hash);
    }
  }
  // `committed_left`: among the records that were not added yet.
  bool FarEnough(bool committed_left) const {
    return advice_.size() >= 2 && (committed_.size() >= 2 || !committed_left);
  }

 private:
  const std::set<uint64_t> quarantined_;
  std::set<uint64_t> advice_, committed_;
};

absl::Status QuickCheck(Database& database) {
  Statement check(database, "PRAGMA quick_check(1)");
  if (check.Next() && check.Bytes(0) != "ok") {
    return absl::DataLossError(check.Bytes(0));
  }
  return check.status();
}

// Moves the file and its journal aside, to a name that is free.
absl::StatusOr<std::string> MoveAside(const std::string& path) {
  std::error_code error;
  for (int n = 1; n < 1000; ++n) {
    const std::string aside = absl::StrCat(path, ".damaged-", n);
    if (fs::exists(aside, error)) {
      continue;
    }
    fs::rename(path, aside, error);
    if (error) {
      break;
    }
    fs::rename(path + "-wal", aside + "-wal", error);  // often absent
    return aside;
  }
  return absl::InternalError(
      absl::StrCat(path, ": is damaged and cannot be moved aside: ", error.message()));
}

absl::Status OpenError(const std::string& path, const absl::Status& status) {
  if (absl::IsUnavailable(status)) {
    return absl::UnavailableError(absl::StrCat(
        "store ", path, " is locked by another process; stop it or choose another with --store"));
  }
  return absl::Status(status.code(), absl::StrCat("store ", std::string(status.message()),
                                                  "; its folder must exist and be writable"));
}

}  // namespace

SqliteStore::SqliteStore(std::string path, int kept_plans, std::unique_ptr<Database> database)
    : path_(std::move(path)),
      kept_plans_(kept_plans),
      copies_(path_ + ".records"),
      database_(std::move(database)) {}

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               int kept_plans) {
  absl::StatusOr<std::unique_ptr<Database>> database = Database::Open(path);
  absl::Status state = database.ok() ? QuickCheck(**database) : database.status();
  if (state.ok()) {
    std::unique_ptr<SqliteStore> store(new SqliteStore(path, kept_plans, *std::move(database)));
    RETURN_IF_ERROR(store->CreateTables());
    return store;
  }
  if (!absl::IsDataLoss(state)) {
    return OpenError(path, state);
  }
  Salvage salvage;
  if (database.ok()) {
    salvage = SalvageFrom(**database);
    database->reset();
  }
  ASSIGN_OR_RETURN(const std::string aside, MoveAside(path));
  ASSIGN_OR_RETURN(std::unique_ptr<Database> fresh, Database::Open(path));
  std::unique_ptr<SqliteStore> store(new SqliteStore(path, kept_plans, std::move(fresh)));
  RETURN_IF_ERROR(store->CreateTables());
  RETURN_IF_ERROR(store->Restore(salvage));
  store->damages_.push_back(absl::StrFormat("%s was damaged (%s): kept as %s, %d records saved",
                                            path, std::string(state.message()), aside,
                                            salvage.records.size()));
  return store;
}

absl::Status SqliteStore::CreateTables() {
  return database_->Run(
      "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
      "CREATE TABLE IF NOT EXISTS plan ("
      "  deployment BLOB NOT NULL, epoch INTEGER NOT NULL, revision INTEGER NOT NULL,"
      "  head BLOB NOT NULL, head_hash INTEGER NOT NULL,"
      "  plan BLOB NOT NULL, plan_hash INTEGER NOT NULL,"
      "  PRIMARY KEY (deployment, epoch, revision));"
      "CREATE TABLE IF NOT EXISTS state ("
      "  deployment BLOB PRIMARY KEY, text BLOB NOT NULL, hash INTEGER NOT NULL);"
      "INSERT OR IGNORE INTO meta VALUES ('schema', 1), ('epoch', 0)");
}

SqliteStore::Salvage SqliteStore::SalvageFrom(Database& database) {
  Salvage salvage;
  Statement plans(database, absl::StrCat("SELECT ", kPlanColumns));
  while (plans.Next()) {
    salvage.records.push_back(RowOf(plans));
  }
  Statement states(database, "SELECT deployment, text, hash FROM state");
  while (states.Next()) {
    if (HashOf(states.Bytes(0), states.Bytes(1)) == states.Integer(2)) {
      salvage.states.emplace_back(states.Bytes(0), states.Bytes(1));
    }
  }
  Statement epoch(database, "SELECT value FROM meta WHERE name = 'epoch'");
  if (epoch.Next()) {
    salvage.epoch = epoch.Integer(0);
  }
  return salvage;
}

absl::Status SqliteStore::Restore(const Salvage& salvage) {
  Transaction transaction(*database_);
  RETURN_IF_ERROR(transaction.status());
  for (const RecordText& text : salvage.records) {
    if (FromText(text).ok()) {
      RETURN_IF_ERROR(Insert(text));
    }
  }
  for (const auto& [deployment, text] : salvage.states) {
    RETURN_IF_ERROR(Statement(*database_, "INSERT OR REPLACE INTO state VALUES (?, ?, ?)")
                        .Bind(deployment)
                        .Bind(text)
                        .Bind(HashOf(deployment, text))
                        .Finish());
  }
  RETURN_IF_ERROR(Statement(*database_, "UPDATE meta SET value = ? WHERE name = 'epoch'")
                      .Bind(salvage.epoch)
                      .Finish());
  return transaction.Commit();
}

absl::StatusOr<uint64_t> SqliteStore::BeginEpoch() {
  Transaction transaction(*database_);
  RETURN_IF_ERROR(transaction.status());
  Statement greatest(*database_,
                     "SELECT MAX((SELECT value FROM meta WHERE name = 'epoch'),"
                     " COALESCE((SELECT MAX(epoch) FROM plan), 0))");
  if (!greatest.Next()) {
    return greatest.status();
  }
  const uint64_t epoch = greatest.Integer(0) + 1;
  RETURN_IF_ERROR(
      Statement(*database_, "UPDATE meta SET value = ? WHERE name = 'epoch'").Bind(epoch).Finish());
  RETURN_IF_ERROR(transaction.Commit());
  return epoch;
}

absl::StatusOr<LoadedDeployment> SqliteStore::Load(const std::string& deployment) {
  LoadedDeployment loaded;
  loaded.damages = damages_;
  loaded.stored.state = LoadState(deployment, &loaded.damages);
  Unread& unread = unread_[deployment] = Survey(deployment, &loaded.damages);
  Reach reach(loaded.stored.state ? loaded.stored.state->quarantined_hashes
                                  : std::vector<uint64_t>());
  std::vector<PlanRecord>& records = loaded.stored.records;
  while (!unread.positions.empty() &&
         !reach.FarEnough(unread.oldest_committed <= unread.positions.back())) {
    if (std::optional<PlanRecord> record = ReadNewest(deployment, &unread, &loaded.damages)) {
      reach.Add(*record);
      records.push_back(*std::move(record));
    }
  }
  std::reverse(records.begin(), records.end());
  return loaded;
}

LoadedDeployment SqliteStore::LoadOlder(const std::string& deployment) {
  LoadedDeployment loaded;
  Unread unread = std::move(unread_[deployment]);
  unread_.erase(deployment);
  std::vector<PlanRecord>& records = loaded.stored.records;
  while (!unread.positions.empty() && unread.taken < kept_plans_) {
    if (std::optional<PlanRecord> record = ReadNewest(deployment, &unread, &loaded.damages)) {
      records.push_back(*std::move(record));
    }
  }
  std::reverse(records.begin(), records.end());
  return loaded;
}

SqliteStore::Unread SqliteStore::Survey(const std::string& deployment,
                                        std::vector<std::string>* damages) {
  Unread unread;
  std::set<Position> positions;
  const auto note = [&](const RecordText& text) {
    positions.insert(text.position);
    const absl::StatusOr<PlanRecord> head = ReadHead(text);
    if (head.ok() && head->committed) {
      unread.oldest_committed = std::min(unread.oldest_committed, text.position);
    }
  };
  Statement rows(*database_, "SELECT epoch, revision, head FROM plan WHERE deployment = ?");
  rows.Bind(deployment);
  while (rows.Next()) {
    note({deployment, {rows.Integer(0), rows.Integer(1)}, rows.Bytes(2), ""});
  }
  if (!rows.status().ok()) {  // the rest is lost, the copies may have it
    damages->push_back(std::string(rows.status().message()));
  }
  unread.copies = copies_.Read(deployment);
  for (const RecordText& copy : unread.copies) {
    note(copy);
  }
  unread.positions.assign(positions.begin(), positions.end());
  return unread;
}

std::optional<PlanRecord> SqliteStore::ReadNewest(const std::string& deployment, Unread* unread,
                                                  std::vector<std::string>* damages) {
  const Position position = unread->positions.back();
  unread->positions.pop_back();
  Statement row(*database_, absl::StrCat("SELECT ", kPlanColumns,
                                         " WHERE deployment = ? AND epoch = ? AND revision = ?"));
  row.Bind(deployment).Bind(position.epoch).Bind(position.revision);
  std::vector<RecordText> texts;
  if (row.Next()) {
    texts.push_back(RowOf(row));
  } else if (!row.status().ok()) {
    damages->push_back(std::string(row.status().message()));
  }
  std::copy_if(unread->copies.begin(), unread->copies.end(), std::back_inserter(texts),
               [&](const RecordText& copy) { return copy.position == position; });
  for (const RecordText& text : texts) {
    absl::StatusOr<PlanRecord> record = FromText(text);
    if (record.ok()) {
      ++unread->taken;
      return *std::move(record);
    }
    damages->push_back(std::string(record.status().message()));
  }
  return std::nullopt;
}

std::optional<DeploymentState> SqliteStore::LoadState(const std::string& deployment,
                                                      std::vector<std::string>* damages) {
  Statement state(*database_, "SELECT text, hash FROM state WHERE deployment = ?");
  state.Bind(deployment);
  if (!state.Next()) {
    return std::nullopt;
  }
  absl::StatusOr<DeploymentState> parsed = StateFromText(state.Bytes(0));
  if (parsed.ok() && HashOf(deployment, state.Bytes(0)) == state.Integer(1)) {
    return *std::move(parsed);
  }
  damages->push_back(absl::StrCat(deployment, ": mode and freeze are lost, the file's hold"));
  return std::nullopt;
}

absl::Status SqliteStore::Insert(const RecordText& text) {
  return Statement(*database_, "INSERT OR REPLACE INTO plan VALUES (?, ?, ?, ?, ?, ?, ?)")
      .Bind(text.deployment)
      .Bind(text.position.epoch)
      .Bind(text.position.revision)
      .Bind(text.head)
      .Bind(text.head_hash)
      .Bind(text.plan)
      .Bind(text.plan_hash)
      .Finish();
}

absl::Status SqliteStore::StorePlan(const std::string& deployment, const PlanRecord& record) {
  const RecordText text = ToText(deployment, record);
  Transaction transaction(*database_);
  RETURN_IF_ERROR(transaction.status());
  RETURN_IF_ERROR(Insert(text));
  RETURN_IF_ERROR(Statement(*database_,
                            "DELETE FROM plan WHERE deployment = ?1 AND (epoch, revision) NOT IN"
                            " (SELECT epoch, revision FROM plan WHERE deployment = ?1"
                            "  ORDER BY epoch DESC, revision DESC LIMIT ?2)")
                      .Bind(deployment)
                      .Bind(kept_plans_)
                      .Finish());
  RETURN_IF_ERROR(transaction.Commit());
  copies_.Write(text).IgnoreError();  // a second line of defence; the record is safe already
  return absl::OkStatus();
}

absl::Status SqliteStore::StoreState(const std::string& deployment, const DeploymentState& state) {
  Transaction transaction(*database_);
  RETURN_IF_ERROR(transaction.status());
  const std::string text = ToText(state);
  RETURN_IF_ERROR(Statement(*database_, "INSERT OR REPLACE INTO state VALUES (?, ?, ?)")
                      .Bind(deployment)
                      .Bind(text)
                      .Bind(HashOf(deployment, text))
                      .Finish());
  return transaction.Commit();
}

}  // namespace advisor::server
