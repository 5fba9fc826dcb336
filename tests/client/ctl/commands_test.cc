// What the commands do together: solve, assign, evaluate and compare on small random traces.
#include "core/cost/evaluate.h"
#include "core/grouping/assigner.h"
#include "core/io/assignments_file.h"
#include "core/io/plan_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/ctl/ctl.h"

namespace advisor {
namespace {

using ::advisor::testing::Ctl;
using ::advisor::testing::DeploymentYaml;
using ::advisor::testing::IsOk;
using ::advisor::testing::ProcessResult;
using ::advisor::testing::ReadFile;
using ::advisor::testing::SmallModel;
using ::advisor::testing::TemporaryFolder;
using ::testing::HasSubstr;
using Json = nlohmann::json;

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest()
      : model_(SmallModel(3, 12, 2)),
        train_(testing::WriteRandomTrace(folder_, "train.jsonl.gz", model_, 60, 1)),
        holdout_(testing::WriteRandomTrace(folder_, "holdout.jsonl.gz", model_, 30, 2)),
        deployment_(folder_.Write("d.yaml", DeploymentYaml(model_, 3, 3))) {}

  ProcessResult Solve(const std::string& out, std::vector<std::string> more) {
    more.insert(more.begin(), {"solve", "--deployment", deployment_, "--out", folder_.Path(out)});
    return Ctl(std::move(more));
  }

  TemporaryFolder folder_;
  ModelSpec model_;
  std::string train_, holdout_, deployment_;
};

TEST_F(CommandsTest, SolveWritesAPlanWithPredictionAndFit) {
  const ProcessResult result =
      Solve("p.json", {"--trace", train_, "--method", "eplb", "--seed", "5"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("saving_ratio"));
  ASSERT_OK_AND_ASSIGN(const Plan plan, ReadPlan(folder_.Path("p.json")));
  EXPECT_EQ(plan.deployment, "test");
  EXPECT_EQ(plan.method, "eplb");
  EXPECT_EQ(plan.seed, 5u);
  ASSERT_TRUE(plan.predicted.has_value());
  ASSERT_OK_AND_ASSIGN(const Traffic traffic, ReadTrace(train_));
  int64_t all = 0;
  for (const Request& request : traffic.requests) {
    all += request.tokens;
  }
  EXPECT_EQ(plan.predicted->fit->tokens, all);          // solved on all requests
  EXPECT_GT(plan.predicted->figures.tokens, all / 10);  // predicted on a fifth of them
  EXPECT_LT(plan.predicted->figures.tokens, all / 3);
  EXPECT_EQ(plan.predicted->figures.tokens,
            plan.predicted->prefill->tokens + plan.predicted->decode->tokens);
}

TEST_F(CommandsTest, SolvePredictsOnDomainsOfThreeRequestsToo) {
  ASSERT_OK_AND_ASSIGN(Traffic traffic, ReadTrace(train_));
  for (Request& request : traffic.requests) {
    request.domain = "common";
  }
  int64_t held = 0;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    held += i >= 3 && (i - 3) % 5 == 2 ? traffic.requests[i].tokens : 0;
  }
  for (int i = 0; i < 3; ++i) {
    traffic.requests[i].domain = "rare";
  }
  const std::string trace = folder_.Path("rare.jsonl");
  ASSERT_THAT(WriteTrace(trace, traffic), IsOk());
  ASSERT_EQ(Solve("p.json", {"--trace", trace, "--method", "eplb"}).exit_code, 0);
  ASSERT_OK_AND_ASSIGN(const Plan plan, ReadPlan(folder_.Path("p.json")));
  EXPECT_EQ(plan.predicted->figures.tokens, held + traffic.requests[2].tokens);
}

TEST_F(CommandsTest, SolveIsDeterministicForAnyNumberOfThreads) {
  ASSERT_EQ(Solve("a.json", {"--trace", train_, "--effort", "quick", "--threads", "1"}).exit_code,
            0);
  ASSERT_EQ(Solve("b.json", {"--trace", train_, "--effort", "quick", "--threads", "3"}).exit_code,
            0);
  EXPECT_EQ(ReadFile(folder_.Path("a.json")), ReadFile(folder_.Path("b.json")));
}

TEST_F(CommandsTest, SolveSearchesForTheDispatchAskedFor) {
  for (const char* dispatch : {"table", "cover"}) {
    const ProcessResult result =
        Solve(std::string(dispatch) + ".json",
              {"--trace", train_, "--effort", "quick", "--dispatch", dispatch});
    ASSERT_EQ(result.exit_code, 0) << result.err;
  }
  ASSERT_EQ(Solve("p.json", {"--trace", train_, "--effort", "quick"}).exit_code, 0);
  EXPECT_EQ(ReadFile(folder_.Path("table.json")), ReadFile(folder_.Path("p.json")));
  EXPECT_NE(ReadFile(folder_.Path("cover.json")), ReadFile(folder_.Path("p.json")));
}

TEST_F(CommandsTest, FewRequestsAreAllSolvedOn) {
  const std::string few = testing::WriteRandomTrace(folder_, "few.jsonl", model_, 19, 3);
  const ProcessResult result = Solve("p.json", {"--trace", few, "--method", "eplb"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("too few requests to hold some out"));
  ASSERT_OK_AND_ASSIGN(const Plan plan, ReadPlan(folder_.Path("p.json")));
  EXPECT_EQ(plan.predicted->figures, Figures());
  EXPECT_GT(plan.predicted->fit->tokens, 0);
}

TEST_F(CommandsTest, SolveReadsSeveralTraces) {
  std::string second = folder_.Path("second.jsonl");
  ASSERT_OK_AND_ASSIGN(Traffic traffic, ReadTrace(holdout_));
  int64_t tokens = 0;
  for (Request& request : traffic.requests) {
    request.id += "-second";
    tokens += request.tokens;
  }
  ASSERT_TRUE(WriteTrace(second, traffic).ok());
  ASSERT_EQ(Solve("one.json", {"--trace", train_, "--method", "eplb"}).exit_code, 0);
  ASSERT_EQ(Solve("two.json", {"--trace", train_, "--trace", second, "--method", "eplb"}).exit_code,
            0);
  ASSERT_OK_AND_ASSIGN(const Plan one, ReadPlan(folder_.Path("one.json")));
  ASSERT_OK_AND_ASSIGN(const Plan two, ReadPlan(folder_.Path("two.json")));
  EXPECT_EQ(two.predicted->fit->tokens, one.predicted->fit->tokens + tokens);
}

TEST_F(CommandsTest, SolveCountsMovesAgainstThePlanInForce) {
  ASSERT_EQ(Solve("old.json", {"--trace", train_, "--method", "linear"}).exit_code, 0);
  ASSERT_EQ(Solve("same.json",
                  {"--trace", train_, "--method", "linear", "--previous", folder_.Path("old.json")})
                .exit_code,
            0);
  ASSERT_EQ(Solve("new.json",
                  {"--trace", train_, "--method", "eplb", "--previous", folder_.Path("old.json")})
                .exit_code,
            0);
  ASSERT_OK_AND_ASSIGN(const Plan old, ReadPlan(folder_.Path("old.json")));
  ASSERT_OK_AND_ASSIGN(const Plan same, ReadPlan(folder_.Path("same.json")));
  ASSERT_OK_AND_ASSIGN(const Plan next, ReadPlan(folder_.Path("new.json")));
  EXPECT_TRUE(same.moves.empty());
  EXPECT_EQ(static_cast<int64_t>(next.moves.size()),
            MovedSlots(old.topology, old.placement, next.placement));
  EXPECT_GT(next.position, old.position);
}

TEST_F(CommandsTest, SolveJsonHasWhatTheTableShows) {
  const ProcessResult result = Solve("p.json", {"--trace", train_, "--method", "eplb", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json json = Json::parse(result.out);
  for (const char* key : {"out", "deployment", "method", "seed", "predicted", "bounds",
                          "moved_slots", "time_limit_struck"}) {
    EXPECT_TRUE(json.contains(key)) << key;
  }
  EXPECT_TRUE(json["predicted"].contains("saving_ratio"));
}

TEST_F(CommandsTest, AssignDealsRoundRobinWithoutAGroupingAndEvaluateAgrees) {
  ASSERT_EQ(Solve("p.json", {"--trace", train_, "--method", "linear"}).exit_code, 0);
  const ProcessResult assign = Ctl({"assign", "--plan", folder_.Path("p.json"), "--trace", holdout_,
                                    "--out", folder_.Path("a.jsonl"), "--json"});
  ASSERT_EQ(assign.exit_code, 0) << assign.err;
  EXPECT_EQ(Json::parse(assign.out)["requests"], 30);
  ASSERT_OK_AND_ASSIGN(const auto assignments, ReadAssignments(folder_.Path("a.jsonl")));
  ASSERT_EQ(assignments.size(), 30u);
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(assignments[i].node, NodeId(i % 3));
  }
  const std::vector<std::string> evaluate = {"evaluate", "--plan", folder_.Path("p.json"),
                                             "--trace",  holdout_, "--json"};
  std::vector<std::string> with = evaluate;
  with.insert(with.end(), {"--assignments", folder_.Path("a.jsonl")});
  EXPECT_EQ(Ctl(evaluate).out, Ctl(with).out);
  // The linear plan with requests dealt round-robin is the baseline itself.
  EXPECT_EQ(Json::parse(Ctl(evaluate).out)["saving_ratio"], 0);
}

TEST_F(CommandsTest, AssignFollowsTheGroupingOneByOneAndInBatch) {
  ASSERT_EQ(Solve("p.json", {"--trace", train_, "--effort", "quick"}).exit_code, 0);
  ASSERT_OK_AND_ASSIGN(const Plan plan, ReadPlan(folder_.Path("p.json")));
  ASSERT_FALSE(plan.grouping.empty());
  ASSERT_OK_AND_ASSIGN(const Traffic traffic, ReadTrace(holdout_));
  const std::vector<NodeId> in_order = AssignInOrder(plan, traffic);
  const std::vector<std::string> assign = {"assign", "--plan", folder_.Path("p.json"), "--trace",
                                           holdout_};
  for (const bool batch : {false, true}) {
    std::vector<std::string> arguments = assign;
    arguments.insert(arguments.end(), {"--out", folder_.Path("a.jsonl")});
    if (batch) {
      arguments.push_back("--batch");
    }
    const ProcessResult result = Ctl(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    ASSERT_OK_AND_ASSIGN(const auto assignments, ReadAssignments(folder_.Path("a.jsonl")));
    ASSERT_OK_AND_ASSIGN(const auto homes, HomesOf(traffic, assignments, 3));
    EXPECT_EQ(homes == in_order, !batch);
    ASSERT_OK_AND_ASSIGN(const Figures figures,
                         Evaluate(plan, traffic, homes, {PhaseFilter::kAll}));
    EXPECT_LT(figures.home_token_max_over_mean, 1.5);
  }
}

TEST_F(CommandsTest, EvaluatePrintsATable) {
  ASSERT_EQ(Solve("p.json", {"--trace", train_, "--method", "linear"}).exit_code, 0);
  const ProcessResult result =
      Ctl({"evaluate", "--plan", folder_.Path("p.json"), "--trace", holdout_, "--phase", "all"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("\nsaving_ratio                     0.0 %\n"));
  EXPECT_THAT(result.out, HasSubstr("node_load worst"));
}

TEST_F(CommandsTest, CompareShowsMethodsSideBySide) {
  const std::vector<std::string> arguments = {"compare", "--deployment", deployment_,
                                              "--trace", train_,         "--holdout",
                                              holdout_,  "--effort",     "quick"};
  const ProcessResult text = Ctl(arguments);
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("linear"));
  EXPECT_THAT(text.out, HasSubstr("saving_ratio"));
  std::vector<std::string> with_seeds = arguments;
  with_seeds.insert(with_seeds.end(), {"--json", "--seeds", "2"});
  const ProcessResult result = Ctl(with_seeds);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json methods = Json::parse(result.out)["methods"];
  std::vector<std::string> names;
  for (const Json& entry : methods) {
    names.push_back(entry["method"]);
    EXPECT_EQ(entry["seeds"], 2);
    EXPECT_TRUE(entry["figures"].contains("internode_bytes_per_token"));
    EXPECT_GE(entry["spread"]["gpu_load"]["mean"], 0);
    EXPECT_EQ(entry["spread"]["tokens"], 0);  // all seeds are judged on the same requests
    EXPECT_EQ(entry["domains"].size(), 3u);
    EXPECT_TRUE(entry["domains"][0].contains("saving_ratio"));
    EXPECT_EQ(entry["layers"].size(), 3u);
    EXPECT_GE(entry["layers"][0]["gpu_load"], 1);
  }
  EXPECT_THAT(names,
              ::testing::ElementsAre("joint", "paper", "greedy-coactivation", "eplb", "linear"));
  EXPECT_EQ(methods.back()["method"], "linear");
  EXPECT_NEAR(methods.back()["figures"]["saving_ratio"].get<double>(), 0, 1e-12);
}

TEST_F(CommandsTest, ThePageOfCompareEscapesNamesAndShowsEveryMethod) {
  ASSERT_OK_AND_ASSIGN(Traffic traffic, ReadTrace(holdout_));
  for (Request& request : traffic.requests) {
    request.domain += "</script><script>alert('domain')</script>";
  }
  ASSERT_TRUE(WriteTrace(holdout_, traffic).ok());
  const std::string html = folder_.Path("page.html");
  const ProcessResult result =
      Ctl({"compare", "--deployment", deployment_, "--trace", train_, "--holdout", holdout_,
           "--effort", "quick", "--seeds", "2", "--html", html});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("saving by domain"));
  const std::string page = ReadFile(html);
  EXPECT_THAT(page, ::testing::Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, HasSubstr("\\u003cscript\\u003ealert('domain')"));
  for (const char* text : {"greedy-coactivation", "\"note\":\"seed 2\"", "Saving by domain",
                           "Saving by layer", "Before: linear", "After: joint", "layer 2"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
}

}  // namespace
}  // namespace advisor
