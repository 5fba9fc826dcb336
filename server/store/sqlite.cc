#include "server/store/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace advisor::server {
namespace {

absl::StatusCode CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {  // without the extended part
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::StatusCode::kUnavailable;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::StatusCode::kDataLoss;
    case SQLITE_FULL:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return absl::StatusCode::kPermissionDenied;
    default:
      return absl::StatusCode::kInternal;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Database>> Database::Open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> database(new Database(path, db));
  if (code != SQLITE_OK) {
    return database->Error("cannot be opened");
  }
  // A plan is a megabyte: in large pages it is a short chain. Takes effect in a new file only.
  RETURN_IF_ERROR(database->Run("PRAGMA page_size = 65536"));
  // Exclusive before WAL: no shared-memory file is needed, and the first transaction locks.
  RETURN_IF_ERROR(database->Run("PRAGMA locking_mode = EXCLUSIVE"));
  RETURN_IF_ERROR(database->Run("PRAGMA journal_mode = WAL"));
  RETURN_IF_ERROR(database->Run("PRAGMA synchronous = FULL"));
  // Pages of 64 KiB: a start after a kill reads at most about 4 MiB of journal.
  RETURN_IF_ERROR(database->Run("PRAGMA wal_autocheckpoint = 64"));
  RETURN_IF_ERROR(database->Run("BEGIN IMMEDIATE"));
  RETURN_IF_ERROR(database->Run("COMMIT"));
  return database;
}

Database::~Database() { sqlite3_close(db_); }

absl::Status Database::Run(const std::string& sql) {
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Error(sql);
  }
  return absl::OkStatus();
}

absl::Status Database::Error(const std::string& doing) const {
  return absl::Status(CodeOf(sqlite3_errcode(db_)),
                      absl::StrCat(path_, ": ", doing, ": ", sqlite3_errmsg(db_)));
}

Statement::Statement(Database& database, const std::string& sql) : database_(database) {
  Check(sqlite3_prepare_v2(database.db_, sql.c_str(), -1, &statement_, nullptr));
}

Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::Bind(uint64_t value) {
  if (status_.ok()) {
    Check(sqlite3_bind_int64(statement_, ++bound_, static_cast<int64_t>(value)));
  }
  return *this;
}

Statement& Statement::Bind(const std::string& bytes) {
  if (status_.ok()) {
    Check(sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_STATIC));
  }
  return *this;
}

bool Statement::Next() {
  if (!status_.ok()) {
    return false;
  }
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) {
    Check(code);
  }
  return code == SQLITE_ROW;
}

uint64_t Statement::Integer(int column) const {
  return static_cast<uint64_t>(sqlite3_column_int64(statement_, column));
}

std::string Statement::Bytes(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  return bytes == nullptr ? "" : std::string(bytes, sqlite3_column_bytes(statement_, column));
}

absl::Status Statement::Finish() {
  while (Next()) {
  }
  return status_;
}

void Statement::Check(int code) {
  if (code != SQLITE_OK && status_.ok()) {
    status_ = database_.Error("statement failed");
  }
}

Transaction::Transaction(Database& database)
    : database_(database), status_(database.Run("BEGIN IMMEDIATE")), open_(status_.ok()) {}

Transaction::~Transaction() {
  if (open_) {
    database_.Run("ROLLBACK").IgnoreError();  // what went wrong was returned before
  }
}

absl::Status Transaction::Commit() {
  RETURN_IF_ERROR(database_.Run("COMMIT"));
  open_ = false;
  return absl::OkStatus();
}

}  // namespace advisor::server
