#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/ctl/ctl.h"

namespace advisor {
namespace {

using ::advisor::testing::Ctl;
using ::advisor::testing::ProcessResult;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::ReadFile;
using ::advisor::testing::SmallModel;
using ::advisor::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

class CharacterizeCommandTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(CharacterizeCommandTest, OneScreenOfText) {
  const std::string trace =
      testing::WriteRandomTrace(folder_, "t.jsonl", SmallModel(3, 12, 2), 60, 1);
  const ProcessResult result = Ctl({"characterize", "--trace", trace});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* finding : {"1. Load is uneven", "2. Domains prefer", "3. Prefill predicts",
                              "4. Experts go together", "by layer", "by time", "d0", "d1", "d2"}) {
    EXPECT_THAT(result.out, HasSubstr(finding));
  }
  EXPECT_LT(std::count(result.out.begin(), result.out.end(), '\n'), 24);
}

TEST_F(CharacterizeCommandTest, JsonHasEveryLayerDomainAndPair) {
  const std::string trace =
      testing::WriteRandomTrace(folder_, "t.jsonl", SmallModel(3, 12, 2), 60, 1);
  const ProcessResult result = Ctl({"characterize", "--trace", trace, "--json", "--slices", "5"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  EXPECT_EQ(json["requests"], 60);
  EXPECT_EQ(json["imbalance"]["layers"].size(), 3u);
  EXPECT_EQ(json["over_time"].size(), 5u);
  EXPECT_EQ(json["domains"].size(), 3u);
  EXPECT_EQ(json["domains"][0]["hottest"].size(), 5u);
  EXPECT_EQ(json["pairs"].size(), 3u);
  EXPECT_EQ(json["pairs"][0]["cosine_layers"].size(), 3u);
  EXPECT_EQ(json["co_activation"]["layers"].size(), 3u);
}

TEST_F(CharacterizeCommandTest, ThePageEscapesNamesOfTheTrace) {
  Rng rng(1);
  Traffic traffic = RandomTraffic(SmallModel(2, 8, 2), 30, 2, &rng);
  traffic.model.name = "<script>alert('model')</script>";
  traffic.source = "</title><script>alert('source')</script>";
  for (Request& request : traffic.requests) {
    request.domain += "</script><script>alert('domain')</script>";
  }
  ASSERT_TRUE(WriteTrace(folder_.Path("t.jsonl"), traffic).ok());
  const std::string html = folder_.Path("page.html");
  const ProcessResult result =
      Ctl({"characterize", "--trace", folder_.Path("t.jsonl"), "--html", html});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string page = ReadFile(html);
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&#39;model&#39;)"));
  EXPECT_THAT(page, HasSubstr("\\u003cscript\\u003ealert('domain')"));
}

TEST_F(CharacterizeCommandTest, ATraceOfSumsSaysWhatItCannot) {
  Rng rng(1);
  Traffic traffic = RandomTraffic(SmallModel(2, 8, 1), 10, 1, &rng);
  for (Request& request : traffic.requests) {
    request = testing::SumsOf(traffic.model, request);
  }
  ASSERT_TRUE(WriteTrace(folder_.Path("t.jsonl"), traffic).ok());
  const ProcessResult result =
      Ctl({"characterize", "--trace", folder_.Path("t.jsonl"), "--html", folder_.Path("p.html")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("there is one; nothing to compare"));
  EXPECT_THAT(result.out, HasSubstr("the trace has not both"));
  EXPECT_THAT(result.out, HasSubstr("there are no pairs"));
}

TEST_F(CharacterizeCommandTest, BadUseAndBadFiles) {
  EXPECT_EQ(Ctl({"characterize", "chat", "--trace", "x"}).exit_code, 2);
  EXPECT_EQ(Ctl({"characterize", "--trace", "x", "--slices", "0"}).exit_code, 2);
  const ProcessResult missing = Ctl({"characterize", "--trace", folder_.Path("none.jsonl")});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("none.jsonl"));
}

}  // namespace
}  // namespace advisor
