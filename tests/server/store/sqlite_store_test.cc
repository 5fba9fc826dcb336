#include "server/store/sqlite_store.h"

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "gtest/gtest.h"
#include "tests/server/support/temporary_folder.h"
#include "tests/support/sample_plan.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::ReadBytes;
using testing::StatusIs;
using testing::WriteBytes;

PlanRecord Record(uint64_t epoch, uint64_t revision) {
  Plan plan = testing::SamplePlan(revision);
  plan.position = {epoch, revision};
  PlanRecord record;
  record.plan = std::make_shared<const Plan>(std::move(plan));
  record.content_hash = PlacementHash(*record.plan);
  record.grouping = {epoch, revision};
  record.reason = DecisionReason::kDrift;
  return record;
}

std::vector<uint64_t> Revisions(const LoadedDeployment& loaded) {
  std::vector<uint64_t> revisions;
  for (const PlanRecord& record : loaded.stored.records) {
    revisions.push_back(record.plan->position.revision);
  }
  return revisions;
}

// What both parts of loading "chat" give, together.
absl::StatusOr<LoadedDeployment> LoadAll(SqliteStore& store) {
  absl::StatusOr<LoadedDeployment> loaded = store.Load("chat");
  if (loaded.ok()) {
    LoadedDeployment older = store.LoadOlder("chat");
    auto& records = loaded->stored.records;
    records.insert(records.begin(), older.stored.records.begin(), older.stored.records.end());
    loaded->damages.insert(loaded->damages.end(), older.damages.begin(), older.damages.end());
  }
  return loaded;
}

class SqliteStoreTest : public ::testing::Test {
 protected:
  // Opens the store and begins an epoch.
  std::unique_ptr<SqliteStore> Open(int kept_plans = 64) {
    absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(path_, kept_plans);
    EXPECT_THAT(store, IsOk());
    absl::StatusOr<uint64_t> epoch = (*store)->BeginEpoch();
    EXPECT_THAT(epoch, IsOk());
    epoch_ = *epoch;
    return *std::move(store);
  }
  // A closed store with plans of revisions 1 .. `count` of deployment "chat".
  void Fill(uint64_t count) {
    const auto store = Open();
    for (uint64_t revision = 1; revision <= count; ++revision) {
      ASSERT_THAT(store->StorePlan("chat", Record(epoch_, revision)), IsOk());
    }
  }

  testing::TemporaryFolder folder_;
  const std::string path_ = folder_ / "store.db";
  uint64_t epoch_ = 0;
};

TEST_F(SqliteStoreTest, HoldsPlansAndStatesAcrossRestarts) {
  Fill(3);
  {
    const auto store = Open();
    EXPECT_EQ(epoch_, 2u);
    ASSERT_THAT(store->StorePlan("other", Record(epoch_, 9)), IsOk());
    ASSERT_THAT(store->StoreState("chat", {Mode::kActive, true, {5}}), IsOk());
  }
  const auto store = Open();
  EXPECT_EQ(epoch_, 3u);
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  EXPECT_EQ(Revisions(loaded), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_TRUE(loaded.damages.empty());
  ASSERT_TRUE(loaded.stored.state.has_value());
  EXPECT_EQ(loaded.stored.state->mode, Mode::kActive);
  EXPECT_TRUE(loaded.stored.state->frozen);
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment empty, store->Load("new"));
  EXPECT_TRUE(empty.stored.records.empty());
  EXPECT_FALSE(empty.stored.state.has_value());
}

TEST_F(SqliteStoreTest, TheSamePositionReplacesTheFlags) {
  const auto store = Open();
  PlanRecord record = Record(1, 1);
  ASSERT_THAT(store->StorePlan("chat", record), IsOk());
  record.committed = true;
  ASSERT_THAT(store->StorePlan("chat", record), IsOk());
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  ASSERT_EQ(loaded.stored.records.size(), 1u);
  EXPECT_TRUE(loaded.stored.records[0].committed);
}

TEST_F(SqliteStoreTest, KeepsTheNewest) {
  const auto store = Open(2);
  for (uint64_t revision = 1; revision <= 5; ++revision) {
    ASSERT_THAT(store->StorePlan("chat", Record(1, revision)), IsOk());
  }
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  EXPECT_EQ(Revisions(loaded), (std::vector<uint64_t>{4, 5}));
}

TEST_F(SqliteStoreTest, OneProcessAtATime) {
  const auto store = Open();
  EXPECT_THAT(SqliteStore::Open(path_, 64),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("is locked by another process")));
}

TEST_F(SqliteStoreTest, AnUnusableFolderIsOneClearError) {
  EXPECT_THAT(SqliteStore::Open(folder_ / "no/such/folder/store.db", 64),
              StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr("folder must exist")));
}

// Changes stored bytes behind the store's back.
TEST_F(SqliteStoreTest, ADamagedRecordFallsBackToTheOneBefore) {
  Fill(3);
  {
    ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path_));
    ASSERT_THAT(database->Run("UPDATE plan SET plan = zeroblob(length(plan))"
                              " WHERE revision = 3"),
                IsOk());
  }
  std::filesystem::remove_all(path_ + ".records");
  const auto store = Open();
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  EXPECT_EQ(Revisions(loaded), (std::vector<uint64_t>{1, 2}));
  ASSERT_EQ(loaded.damages.size(), 1u);
  EXPECT_THAT(loaded.damages[0], HasSubstr("chat plan 1/3"));
}

TEST_F(SqliteStoreTest, ADamagedRecordIsTakenFromItsCopy) {
  Fill(3);
  {
    ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path_));
    ASSERT_THAT(database->Run("UPDATE plan SET head = 'x' WHERE revision >= 2"), IsOk());
  }
  const auto store = Open();
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  EXPECT_EQ(Revisions(loaded), (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(loaded.damages.size(), 2u);
}

TEST_F(SqliteStoreTest, ALostDatabaseLeavesTheLastRecords) {
  Fill(3);
  WriteBytes(path_, std::string(5000, 'x'));
  const auto store = Open();
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  EXPECT_EQ(Revisions(loaded), (std::vector<uint64_t>{2, 3}));
  ASSERT_EQ(loaded.damages.size(), 1u);
  EXPECT_THAT(loaded.damages[0], HasSubstr(".damaged-1"));
  EXPECT_TRUE(std::filesystem::exists(path_ + ".damaged-1"));
}

TEST_F(SqliteStoreTest, LoadsFirstWhatADaemonActsOn) {
  Fill(6);
  const auto store = Open();
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment advice, store->Load("chat"));
  EXPECT_EQ(Revisions(advice), (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(Revisions(store->LoadOlder("chat")), (std::vector<uint64_t>{1, 2, 3, 4}));
  EXPECT_EQ(Revisions(store->LoadOlder("chat")), std::vector<uint64_t>());
  for (const uint64_t revision : {2, 3, 4}) {
    PlanRecord record = Record(1, revision);
    record.committed = true;
    record.quarantined = revision == 3;
    ASSERT_THAT(store->StorePlan("chat", record), IsOk());
  }
  // 4 is in force, 3 was refused, 2 is what would be gone back to.
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment active, store->Load("chat"));
  EXPECT_EQ(Revisions(active), (std::vector<uint64_t>{2, 3, 4, 5, 6}));
  ASSERT_THAT(store->StoreState("chat", {Mode::kActive, false, {Record(1, 2).content_hash}}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment refused, store->Load("chat"));
  EXPECT_EQ(Revisions(refused), (std::vector<uint64_t>{2, 3, 4, 5, 6}));
}

TEST_F(SqliteStoreTest, ADamagedNewestRecordIsPassedBeforeTheRestIsLoaded) {
  Fill(5);
  {
    ASSERT_OK_AND_ASSIGN(const auto database, Database::Open(path_));
    ASSERT_THAT(database->Run("UPDATE plan SET plan = zeroblob(length(plan)) WHERE revision >= 4;"
                              "UPDATE plan SET head = 'x' WHERE revision = 1"),
                IsOk());
  }
  std::filesystem::remove_all(path_ + ".records");
  const auto store = Open();
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment newest, store->Load("chat"));
  EXPECT_EQ(Revisions(newest), (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(newest.damages.size(), 2u);
  const LoadedDeployment older = store->LoadOlder("chat");
  EXPECT_EQ(Revisions(older), std::vector<uint64_t>());
  ASSERT_EQ(older.damages.size(), 1u);
  EXPECT_THAT(older.damages[0], HasSubstr("chat plan 1/1"));
}

// Whatever the damage: the store opens, what it loads is whole, and it takes new plans.
TEST_F(SqliteStoreTest, SurvivesTornAndFlippedFiles) {
  Fill(4);
  const std::string good = ReadBytes(path_);
  Rng rng(11);
  int fell_back = 0;
  const char* asked = std::getenv("ADVISOR_STORE_MUTATIONS");
  const int rounds = asked == nullptr ? 60 : std::stoi(asked);
  for (int round = 0; round < rounds; ++round) {
    std::string bad = good;
    if (round % 3 == 0) {
      bad.resize(rng.Below(static_cast<uint32_t>(bad.size())));
    } else if (round % 3 == 1) {
      for (int i = 0; i < 20; ++i) {
        bad[rng.Below(static_cast<uint32_t>(bad.size()))] ^= static_cast<char>(1 << rng.Below(8));
      }
    } else {
      const uint32_t from = rng.Below(static_cast<uint32_t>(bad.size()));
      std::fill(bad.begin() + from, bad.begin() + std::min<size_t>(from + 4096, bad.size()), '\0');
    }
    WriteBytes(path_, bad);
    std::filesystem::remove(path_ + "-wal");
    absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(path_, 64);
    ASSERT_THAT(store, IsOk()) << round;
    ASSERT_OK_AND_ASSIGN(const uint64_t epoch, (*store)->BeginEpoch());
    ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(**store));
    ASSERT_GE(loaded.stored.records.size(), 2u) << round;  // the copies at least
    EXPECT_EQ(loaded.stored.records.back().plan->position.revision, 4u) << round;
    fell_back += !loaded.damages.empty();
    PlanRecord next = Record(epoch, 5);
    EXPECT_THAT((*store)->StorePlan("probe", next), IsOk()) << round;
    store->reset();
  }
  EXPECT_GE(fell_back, rounds / 3);  // the damage was real
}

TEST_F(SqliteStoreTest, AnOldCopyOfTheDatabaseIsMadeUpForByTheCopies) {
  Fill(2);
  const std::string old = ReadBytes(path_);
  {
    const auto store = Open();
    ASSERT_THAT(store->StorePlan("chat", Record(epoch_, 3)), IsOk());
  }
  WriteBytes(path_, old);
  const auto store = Open();
  ASSERT_OK_AND_ASSIGN(const LoadedDeployment loaded, LoadAll(*store));
  EXPECT_EQ(Revisions(loaded), (std::vector<uint64_t>{1, 2, 3}));
}

}  // namespace
}  // namespace advisor::server
