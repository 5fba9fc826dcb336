#ifndef ADVISOR_SERVER_STORE_SQLITE_H_
#define ADVISOR_SERVER_STORE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

struct sqlite3;
struct sqlite3_stmt;

namespace advisor::server {

// SQLite's C interface with owners and statuses. Codes: UNAVAILABLE locked by another process,
// DATA_LOSS not a database or damaged, RESOURCE_EXHAUSTED disk full, INTERNAL the rest (I/O errors
// foremost). Unsigned 64-bit values are stored as SQLite's signed ones, bit by bit.
class Database {
 public:
  // Locks the file for this process alone, until destroyed.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  absl::Status Run(const std::string& sql);

 private:
  friend class Statement;
  Database(std::string path, sqlite3* db) : path_(std::move(path)), db_(db) {}
  absl::Status Error(const std::string& doing) const;

  const std::string path_;
  sqlite3* db_;
};

// One prepared statement, run once. The first error sticks.
class Statement {
 public:
  Statement(Database& database, const std::string& sql);
  ~Statement();
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Parameters in order. Bytes are not copied: they must live as long as the statement. Text is
  // stored as bytes too, so compare it with parameters only.
  Statement& Bind(uint64_t value);
  Statement& Bind(const std::string& bytes);
  // True: a row is there. False: the end, or an error (see status()).
  bool Next();
  uint64_t Integer(int column) const;
  std::string Bytes(int column) const;
  const absl::Status& status() const { return status_; }
  // Runs to the end; for statements without rows.
  absl::Status Finish();

 private:
  void Check(int code);

  Database& database_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  absl::Status status_;
};

// Rolled back unless committed.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  const absl::Status& status() const { return status_; }
  absl::Status Commit();

 private:
  Database& database_;
  absl::Status status_;
  bool open_ = false;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_STORE_SQLITE_H_
