#include "core/io/atomic_file.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/files.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::ReadFile;
using ::advisor::testing::StatusIs;
using ::advisor::testing::TemporaryFolder;
using ::testing::HasSubstr;

TEST(AtomicFileTest, ReplacesTheOldFileAndLeavesNothingElse) {
  TemporaryFolder folder;
  const std::string path = folder.Write("plan.json", "old");
  ASSERT_THAT(WriteFileAtomically(path, "new"), IsOk());
  EXPECT_EQ(ReadFile(path), "new");
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(AtomicFileTest, KeepsTheOldFileUntilCommit) {
  TemporaryFolder folder;
  const std::string path = folder.Write("plan.json", "old");
  {
    ASSERT_OK_AND_ASSIGN(auto file, AtomicFile::Create(path, AtomicFile::Compression::kNone));
    ASSERT_THAT(file->Append("half"), IsOk());
    EXPECT_EQ(ReadFile(path), "old");
  }
  EXPECT_EQ(ReadFile(path), "old");
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(AtomicFileTest, NewFilesTakeTheUsersPermissions) {
  TemporaryFolder folder;
  ASSERT_THAT(WriteFileAtomically(folder.Path("a"), "x"), IsOk());
  folder.Write("b", "x");
  EXPECT_EQ(std::filesystem::status(folder.Path("a")).permissions(),
            std::filesystem::status(folder.Path("b")).permissions());
}

TEST(AtomicFileTest, NamesTheFolderThatIsMissing) {
  TemporaryFolder folder;
  EXPECT_THAT(WriteFileAtomically(folder.Path("none/plan.json"), "x"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("none/plan.json")));
}

TEST(AtomicFileTest, NeverReplacesADeviceOrFolder) {
  TemporaryFolder folder;
  EXPECT_THAT(WriteFileAtomically("/dev/null", "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
  std::filesystem::create_directory(folder.Path("sub"));
  EXPECT_THAT(WriteFileAtomically(folder.Path("sub"), "x"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not a regular file")));
}

}  // namespace
}  // namespace advisor
