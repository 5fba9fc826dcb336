#include "core/cost/evaluate.h"
#include "core/grouping/assigner.h"
#include "core/io/plan_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/ctl/ctl.h"

namespace advisor {
namespace {

using ::advisor::testing::Ctl;
using ::advisor::testing::DeploymentYaml;
using ::advisor::testing::ProcessResult;
using ::advisor::testing::SmallModel;
using ::advisor::testing::TemporaryFolder;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest()
      : model_(SmallModel(3, 12, 2)),
        train_(testing::WriteRandomTrace(folder_, "train.jsonl", model_, 60, 1)),
        holdout_(testing::WriteRandomTrace(folder_, "holdout.jsonl", model_, 30, 2)),
        deployment_(folder_.Write("d.yaml", DeploymentYaml(model_, 3, 3))),
        last_(Solve("last.json", "linear")),
        plan_(Solve("plan.json", "joint")) {}

  std::string Solve(const std::string& out, const std::string& method) {
    EXPECT_EQ(Ctl({"solve", "--deployment", deployment_, "--trace", train_, "--effort", "quick",
                   "--method", method, "--out", folder_.Path(out)})
                  .exit_code,
              0);
    return folder_.Path(out);
  }

  ProcessResult Explain(std::vector<std::string> more) {
    more.insert(more.begin(), {"explain", "--plan", plan_, "--trace", holdout_});
    return Ctl(std::move(more));
  }

  TemporaryFolder folder_;
  ModelSpec model_;
  std::string train_, holdout_, deployment_, last_, plan_;
};

TEST_F(ExplainTest, BothPlansAreJudgedOnTheSameRequests) {
  const ProcessResult result = Explain({"--previous", last_, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  ASSERT_OK_AND_ASSIGN(const Plan plan, ReadPlan(plan_));
  ASSERT_OK_AND_ASSIGN(const Plan last, ReadPlan(last_));
  ASSERT_OK_AND_ASSIGN(const Traffic traffic, ReadTrace(holdout_));
  ASSERT_OK_AND_ASSIGN(const Figures figures,
                       EvaluateWithBaseline(plan, traffic, AssignInOrder(plan, traffic), {}));
  EXPECT_EQ(json["figures"], Json::parse(FiguresToJson(figures)));
  EXPECT_EQ(json["previous"]["saving_ratio"], 0);  // linear is the baseline
  EXPECT_EQ(json["moved_slots"], MovedSlots(plan.topology, last.placement, plan.placement));
}

TEST_F(ExplainTest, TheTenDearestFlowsComeDearestFirst) {
  const Json json = Json::parse(Explain({"--json"}).out);
  ASSERT_EQ(json["flows"].size(), 10u);
  double last = 1;
  for (const Json& flow : json["flows"]) {
    EXPECT_NE(flow["from"], flow["to"]);
    EXPECT_GT(flow["share"], 0);
    EXPECT_LE(flow["share"], last);
    last = flow["share"];
  }
  const ProcessResult text = Explain({"--previous", last_});
  EXPECT_THAT(text.out, HasSubstr("the last plan  this plan"));
  EXPECT_THAT(text.out, HasSubstr("dearest remaining flows:\nfrom"));
}

TEST_F(ExplainTest, AnExpertIsShownWhereItSitsAndWhatItsPlaceSaves) {
  ASSERT_OK_AND_ASSIGN(const Plan plan, ReadPlan(plan_));
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  for (int e = 0; e < 12; ++e) {
    const std::string expert = std::to_string(e);
    const ProcessResult result = Explain({"--layer", "1", "--expert", expert, "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const Json json = Json::parse(result.out)["expert"];
    ASSERT_EQ(json["nodes"].size(), 3u);
    const uint64_t holders = serve.Holders(1, e);
    const bool only = (holders & (holders - 1)) == 0;
    for (int n = 0; n < 3; ++n) {
      const Json& node = json["nodes"][n];
      const bool held = holders >> n & 1;
      EXPECT_EQ(node["node"], plan.topology.nodes()[n].name);
      EXPECT_EQ(!node["gpus"].empty(), held);
      EXPECT_EQ(node.contains("visits_change_with"), !held);
      EXPECT_EQ(node.contains("visits_change_without"), held && !only);
      EXPECT_EQ(node.contains("visits_change_moved"), !held && only);
    }
  }
  EXPECT_THAT(Explain({"--layer", "1", "--expert", "0"}).out, HasSubstr("expert 0 of layer 1: "));
}

TEST_F(ExplainTest, BadUseAndBadFiles) {
  EXPECT_EQ(Ctl({"explain", "--plan", plan_}).exit_code, 2);
  EXPECT_EQ(Explain({"--layer", "1"}).exit_code, 2);
  EXPECT_EQ(Explain({"--expert", "1"}).exit_code, 2);
  const ProcessResult range = Explain({"--layer", "3", "--expert", "0"});
  EXPECT_EQ(range.exit_code, 1);
  EXPECT_THAT(range.err, HasSubstr("layer 3, expert 0: must be in 0 .. 2 and 0 .. 11"));
  const std::string other =
      testing::WriteRandomTrace(folder_, "other.jsonl", SmallModel(2, 12, 2), 10, 3);
  const ProcessResult shape = Ctl({"explain", "--plan", plan_, "--trace", other});
  EXPECT_EQ(shape.exit_code, 1);
  EXPECT_THAT(shape.err, HasSubstr("use files of one model"));
}

}  // namespace
}  // namespace advisor
