#include "core/io/assignments_file.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/files.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::absl::StatusCode;
using ::advisor::testing::IsOk;
using ::advisor::testing::ReadFile;
using ::advisor::testing::StatusIs;
using ::advisor::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(AssignmentsFileTest, RoundTrips) {
  TemporaryFolder folder;
  const std::vector<Assignment> all = {{"a \"é\"", NodeId(2), -1}, {"b", NodeId(0), 1}};
  ASSERT_THAT(WriteAssignments(folder.Path("a.jsonl"), all), IsOk());
  EXPECT_EQ(ReadFile(folder.Path("a.jsonl")),
            "{\"request_id\":\"a \\\"é\\\"\",\"node\":2}\n"
            "{\"request_id\":\"b\",\"node\":0,\"microbatch\":1}\n");
  ASSERT_OK_AND_ASSIGN(const auto back, ReadAssignments(folder.Path("a.jsonl")));
  EXPECT_EQ(back, all);
}

TEST(AssignmentsFileTest, NamesTheLineThatIsWrong) {
  TemporaryFolder folder;
  const auto read = [&folder](const std::string& content) {
    return ReadAssignments(folder.Write("a.jsonl", content)).status();
  };
  const std::string good = "{\"request_id\":\"a\",\"node\":1}\n";
  EXPECT_THAT(read(good + good),
              StatusIs(StatusCode::kInvalidArgument,
                       HasSubstr("a.jsonl:2: request_id is \"a\", which is assigned already")));
  EXPECT_THAT(read(good + "{\"request_id\":\"b\"}"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("a.jsonl:2: node is missing")));
  EXPECT_THAT(
      read("{\"request_id\":\"b\",\"node\":-1}"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("node is -1, must be an integer 0 .. 63")));
  EXPECT_THAT(read(good + "{\"request_id\":\"b\",\"no"),
              StatusIs(StatusCode::kDataLoss, HasSubstr("a.jsonl:2: ")));
  EXPECT_THAT(ReadAssignments(folder.Path("none")),
              StatusIs(StatusCode::kNotFound, HasSubstr("none")));
}

TEST(AssignmentsFileTest, MicrobatchesAreAllStatedOrUnset) {
  Traffic traffic;
  traffic.requests.resize(2);
  traffic.requests[0].id = "a";
  traffic.requests[1].id = "b";
  EXPECT_EQ(MicrobatchesOf(traffic, {{"b", NodeId(1), 1}, {"a", NodeId(0), 0}}),
            (std::vector<int>{0, 1}));
  EXPECT_EQ(MicrobatchesOf(traffic, {{"b", NodeId(1), 1}, {"a", NodeId(0)}}), std::nullopt);
}

TEST(AssignmentsFileTest, HomesAreInTheOrderOfTheTrace) {
  Traffic traffic;
  traffic.requests.resize(2);
  traffic.requests[0].id = "a";
  traffic.requests[1].id = "b";
  ASSERT_OK_AND_ASSIGN(const auto homes,
                       HomesOf(traffic, {{"b", NodeId(1)}, {"x", NodeId(9)}, {"a", NodeId(0)}}, 2));
  EXPECT_THAT(homes, ElementsAre(NodeId(0), NodeId(1)));
  EXPECT_THAT(HomesOf(traffic, {{"a", NodeId(0)}}, 2),
              StatusIs(StatusCode::kNotFound, HasSubstr("request \"b\" has no assignment")));
  EXPECT_THAT(
      HomesOf(traffic, {{"a", NodeId(0)}, {"b", NodeId(2)}}, 2),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("assigned to node 2, must be 0 .. 1")));
}

}  // namespace
}  // namespace advisor
