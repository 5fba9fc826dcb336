#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/ctl/ctl.h"

namespace advisor {
namespace {

using ::advisor::testing::Ctl;
using ::advisor::testing::DeploymentYaml;
using ::advisor::testing::ProcessResult;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::ReadFile;
using ::advisor::testing::SmallModel;
using ::advisor::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

// 12 experts on 4 nodes x 2 GPUs: a slot more per GPU is 66.7 % more memory.
class FrontierTest : public ::testing::Test {
 protected:
  FrontierTest()
      : model_(SmallModel(2, 12, 2)),
        trace_(testing::WriteRandomTrace(folder_, "t.jsonl", model_, 60, 1)),
        deployment_(folder_.Write("d.yaml", DeploymentYaml(model_, 4, 2))) {}

  ProcessResult Frontier(std::vector<std::string> more) {
    more.insert(more.begin(),
                {"frontier", "--deployment", deployment_, "--trace", trace_, "--effort", "quick"});
    return Ctl(std::move(more));
  }

  TemporaryFolder folder_;
  ModelSpec model_;
  std::string trace_, deployment_;
};

TEST_F(FrontierTest, EndsWhereEverythingCanBeLocal) {
  const ProcessResult result =
      Frontier({"--extra-slots", "0,100,300,400", "--nodes", "4,2", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  double last = -1;
  int nodes = 0;
  std::vector<int> ends;
  for (const Json& point : json["points"]) {
    const Json& figures = point["figures"];
    if (point["nodes"] != nodes) {
      nodes = point["nodes"];
      last = -1;
    }
    EXPECT_LE(point["extra_slots_percent"], 100 * (nodes - 1));
    EXPECT_GE(point["spare_percent"], point["extra_slots_percent"]);
    EXPECT_GT(point["spare_percent"], last);
    last = point["spare_percent"];
    if (last == 100 * (nodes - 1)) {
      ends.push_back(nodes);
      // All but experts that the solver has hardly seen on a node.
      EXPECT_GT(figures["saving_ratio"], 0.95);
    }
  }
  EXPECT_THAT(ends, ElementsAre(2, 4));
}

TEST_F(FrontierTest, NamesTheLeastMemoryOfEachFactor) {
  const ProcessResult result = Frontier({"--extra-slots", "0,300", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  for (const auto& [name, factor] : {std::pair{"2x", 2.0}, {"5x", 5.0}, {"20x", 20.0}}) {
    const Json& reached = json["reached"][name];
    ASSERT_EQ(reached.size(), 1u);
    EXPECT_EQ(reached[0]["nodes"], 4);
    const double percent = reached[0]["extra_slots_percent"];
    // The point named reaches it, and the one before it was measured, is one slot away and does
    // not.
    for (size_t i = 0; i < json["points"].size(); ++i) {
      const Json& point = json["points"][i];
      const bool reaches = 1 - point["figures"]["saving_ratio"].get<double>() <= 1 / factor;
      if (point["spare_percent"] == percent) {
        EXPECT_TRUE(reaches);
        ASSERT_GT(i, 0u);
        EXPECT_EQ(json["points"][i - 1]["slots_per_gpu"], point["slots_per_gpu"].get<int>() - 1);
      }
      if (point["spare_percent"] < percent) {
        EXPECT_FALSE(reaches);
      }
    }
  }
}

TEST_F(FrontierTest, WhatNoMemoryReachesIsSaidSo) {
  const ProcessResult json = Frontier({"--extra-slots", "0", "--json"});
  ASSERT_EQ(json.exit_code, 0) << json.err;
  EXPECT_TRUE(Json::parse(json.out)["reached"]["20x"][0]["extra_slots_percent"].is_null());
  const ProcessResult text = Frontier({"--extra-slots", "0"});
  EXPECT_THAT(text.out, HasSubstr("20x less at no memory measured"));
}

TEST_F(FrontierTest, WithoutAHoldoutEverySecondRequestOfADomainIsHeldOut) {
  const auto tokens = [](const ProcessResult& result) {
    return Json::parse(result.out)["points"][0]["figures"]["tokens"].get<int64_t>();
  };
  ASSERT_OK_AND_ASSIGN(const Traffic traffic, ReadTrace(trace_));
  std::map<std::string, int> position;
  int64_t held_out = 0, all = 0;
  for (const Request& r : traffic.requests) {
    all += r.tokens;
    held_out += position[r.domain]++ % 2 == 1 ? r.tokens : 0;
  }
  EXPECT_EQ(tokens(Frontier({"--extra-slots", "0", "--phase", "all", "--json"})), held_out);
  EXPECT_EQ(
      tokens(Frontier({"--extra-slots", "0", "--phase", "all", "--json", "--holdout", trace_})),
      all);
}

TEST_F(FrontierTest, ThePageEscapesNamesOfTheTrace) {
  Rng rng(1);
  Traffic traffic = RandomTraffic(model_, 30, 2, &rng);
  traffic.source = "</script><script>alert('source')</script>";
  ASSERT_TRUE(WriteTrace(trace_, traffic).ok());
  const ProcessResult result =
      Frontier({"--extra-slots", "0,300", "--html", folder_.Path("page.html")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string page = ReadFile(folder_.Path("page.html"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;alert(&#39;source&#39;)"));
}

TEST_F(FrontierTest, NodesThatDoNotDivideTheGpusAreRefused) {
  const ProcessResult result = Frontier({"--nodes", "2,3"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("8 GPUs do not divide over 3 nodes"));
  EXPECT_EQ(Frontier({"--nodes", "1"}).exit_code, 2);
  EXPECT_EQ(Frontier({"--extra-slots", "-1"}).exit_code, 2);
}

}  // namespace
}  // namespace advisor
