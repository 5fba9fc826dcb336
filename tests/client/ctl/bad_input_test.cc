// What bad files get: exit code 1, one line on standard error that says what and where, and nothing
// half-written.
#include <algorithm>

#include "absl/strings/str_replace.h"
#include "core/io/plan_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
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
using ::testing::StartsWith;

class BadInputTest : public ::testing::Test {
 protected:
  BadInputTest()
      : model_(SmallModel(2, 8, 2)),
        trace_(testing::WriteRandomTrace(folder_, "t.jsonl", model_, 12, 1)),
        deployment_(folder_.Write("d.yaml", DeploymentYaml(model_, 2, 2))),
        lines_(ReadFile(trace_)) {}

  ProcessResult Solve(const std::string& deployment, const std::string& trace) {
    return Ctl({"solve", "--method", "linear", "--deployment", deployment, "--trace", trace,
                "--out", folder_.Path("plan.json")});
  }

  // The command failed with one line that has `text`, and left no file behind.
  void ExpectFailure(const ProcessResult& result, const std::string& text) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("advisorctl: "));
    EXPECT_THAT(result.err, HasSubstr(text));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_FALSE(std::filesystem::exists(folder_.Path("plan.json")));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.Path(""))) {
      EXPECT_THAT(entry.path().string(), ::testing::Not(HasSubstr(".tmp-")));
    }
  }

  std::string Edited(const std::string& text, const std::string& from, const std::string& to) {
    const std::string edited = absl::StrReplaceAll(text, {{from, to}});
    EXPECT_NE(edited, text) << from;
    return edited;
  }

  TemporaryFolder folder_;
  ModelSpec model_;
  std::string trace_, deployment_, lines_;
};

TEST_F(BadInputTest, TheGoodFilesWork) { EXPECT_EQ(Solve(deployment_, trace_).exit_code, 0); }

TEST_F(BadInputTest, UnknownKeyInTheDeployment) {
  const std::string yaml = DeploymentYaml(model_, 2, 2) + "topk: 3\n";
  ExpectFailure(Solve(folder_.Write("bad.yaml", yaml), trace_), "bad.yaml:4: unknown key topk");
}

TEST_F(BadInputTest, DoubledKeyInTheDeployment) {
  const std::string yaml = DeploymentYaml(model_, 2, 2) + "deployment: again\n";
  ExpectFailure(Solve(folder_.Write("bad.yaml", yaml), trace_),
                "bad.yaml:4: key deployment is there twice, first in line 1");
}

TEST_F(BadInputTest, DeploymentThatCannotHoldEveryExpert) {
  ExpectFailure(Solve(folder_.Write("bad.yaml", DeploymentYaml(model_, 2, 1)), trace_),
                "bad.yaml:3: topology has 4 slots for 8 experts a layer: 4 slots are missing");
}

TEST_F(BadInputTest, WrongShapeInATrace) {
  const std::string trace =
      folder_.Write("bad.jsonl", Edited(lines_, ",2,2],\"dtype\"", ",2,3],\"dtype\""));
  ExpectFailure(Solve(deployment_, trace), "bad.jsonl:2: experts.shape is");
}

TEST_F(BadInputTest, ExpertOutOfRangeInATrace) {
  const std::string trace =
      folder_.Write("bad.jsonl", Edited(lines_, "\"experts\":8", "\"experts\":7"));
  const std::string yaml = Edited(DeploymentYaml(model_, 2, 2), "experts: 8", "experts: 7");
  ExpectFailure(Solve(folder_.Write("seven.yaml", yaml), trace), "expert 7, must be below 7");
}

TEST_F(BadInputTest, CountsThatBreakTheLaw) {
  Rng rng(1);
  Traffic traffic = testing::RandomTraffic(model_, 1, 1, &rng);
  traffic.requests[0] = testing::SumsOf(model_, traffic.requests[0]);
  ASSERT_THAT(WriteTrace(folder_.Path("sums.jsonl"), traffic), IsOk());
  const std::string tokens = absl::StrFormat("\"tokens\":%d", traffic.requests[0].tokens);
  const std::string trace = folder_.Write(
      "bad.jsonl", Edited(ReadFile(folder_.Path("sums.jsonl")), tokens, "\"tokens\":999"));
  ExpectFailure(Solve(deployment_, trace), "bad.jsonl:2: request \"r0\" layer 0: counts sum to");
}

TEST_F(BadInputTest, TraceCutInTheMiddle) {
  ExpectFailure(Solve(deployment_, folder_.Write("cut.jsonl", lines_.substr(0, lines_.size() / 2))),
                "cut.jsonl:");
  testing::WriteRandomTrace(folder_, "t.jsonl.gz", model_, 12, 1);
  const std::string whole = ReadFile(folder_.Path("t.jsonl.gz"));
  ExpectFailure(
      Solve(deployment_, folder_.Write("cut.jsonl.gz", whole.substr(0, whole.size() / 2))),
      "the compressed file ends too early");
}

TEST_F(BadInputTest, TraceOfAnotherModel) {
  const std::string trace =
      testing::WriteRandomTrace(folder_, "other.jsonl", SmallModel(3, 8, 2), 5, 1);
  ExpectFailure(Solve(deployment_, trace),
                "other.jsonl: [moe_layers, experts, top_k] is [3, 8, 2], must be [2, 8, 2] as in");
}

TEST_F(BadInputTest, OneRequestInTwoTraces) {
  const std::string copy = folder_.Write("copy.jsonl", lines_);
  ExpectFailure(Ctl({"solve", "--method", "linear", "--deployment", deployment_, "--trace", trace_,
                     "--trace", copy, "--out", folder_.Path("plan.json")}),
                "copy.jsonl: request \"r0\" is in an earlier trace too");
}

TEST_F(BadInputTest, MissingFilesAndFolders) {
  ExpectFailure(Solve(folder_.Path("none.yaml"), trace_), "none.yaml");
  ExpectFailure(Solve(deployment_, folder_.Path("none.jsonl")), "none.jsonl");
  ExpectFailure(Ctl({"solve", "--method", "linear", "--deployment", deployment_, "--trace", trace_,
                     "--out", folder_.Path("none/plan.json")}),
                "none/plan.json");
}

TEST_F(BadInputTest, AFailureLeavesTheOldFile) {
  const std::string out = folder_.Write("old.json", "old");
  EXPECT_EQ(Ctl({"solve", "--method", "linear", "--deployment", deployment_, "--trace",
                 folder_.Path("none"), "--out", out})
                .exit_code,
            1);
  EXPECT_EQ(ReadFile(out), "old");
}

TEST_F(BadInputTest, BadPlansAndAssignments) {
  ASSERT_EQ(Solve(deployment_, trace_).exit_code, 0);
  const std::string good = ReadFile(folder_.Path("plan.json"));
  std::filesystem::remove(folder_.Path("plan.json"));
  const auto assign = [this](const std::string& plan) {
    return Ctl({"assign", "--plan", folder_.Write("bad.json", plan), "--trace", trace_, "--out",
                folder_.Path("a.jsonl")});
  };
  ExpectFailure(assign(Edited(good, "\"placement\":[[0,", "\"placement\":[[8,")),
                "bad.json: placement[0][0] is 8, must be an integer -1 .. 7");
  ExpectFailure(assign(Edited(good, "\"placement\":[[0,", "\"placement\":[[1,")),
                "bad.json: layer 0: two copies of expert 1 on GPU 0");
  ExpectFailure(assign(Edited(good, "\"placement\":[[0,", "\"placement\":[[")),
                "bad.json: placement[0] has 7 values, must be a list of 8");
  ExpectFailure(assign(good.substr(0, good.size() / 2)),
                "bad.json: ends inside a value: it was cut");
  EXPECT_FALSE(std::filesystem::exists(folder_.Path("a.jsonl")));

  const std::string plan = folder_.Write("good.json", good);
  const auto evaluate = [&](const std::string& assignments) {
    return Ctl({"evaluate", "--plan", plan, "--trace", trace_, "--assignments",
                folder_.Write("bad-a.jsonl", assignments)});
  };
  ExpectFailure(evaluate("{\"request_id\":\"r0\",\"node\":0}\n"),
                "bad-a.jsonl: request \"r1\" has no assignment");
  ExpectFailure(evaluate("{\"request_id\":\"r0\",\"node\":2}\n"),
                "bad-a.jsonl: request \"r0\" is assigned to node 2, must be 0 .. 1");
  ExpectFailure(evaluate("{\"request_id\":\"r0\"}\n"), "bad-a.jsonl:1: node is missing");
}

TEST_F(BadInputTest, WrongUsageExitsWithTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"no-such-command"},
      {"solve"},
      {"solve", "--deployment", deployment_, "--trace", trace_, "--out", "x", "--no-such-option"},
      {"solve", "--deployment", deployment_, "--trace", trace_, "--out", "x", "--effort", "huge"},
      {"solve", "--deployment", deployment_, "--trace", trace_, "--out", "x", "--node-load-cap",
       "0.9"},
      {"solve", "--deployment", deployment_, "--trace", trace_, "--out", "x",
       "--max-moved-fraction", "2"},
      {"solve", "--deployment", deployment_, "--trace", trace_, "--out", "x", "--time-limit",
       "soon"},
      {"solve", "--deployment", deployment_, "--trace", trace_, "--out", "x", "--seed", "-1"},
      {"evaluate", "--plan", "x", "--trace", trace_, "--phase", "both"},
      {"evaluate", "--plan", "x", "--trace", trace_, "--dispatch", "best"},
      {"compare", "--deployment", deployment_, "--trace", trace_},
  };
  for (const auto& arguments : wrong) {
    const ProcessResult result = Ctl(arguments);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(arguments);
    EXPECT_NE(result.err, "");
  }
}

TEST_F(BadInputTest, HelpExitsWithZero) {
  for (const char* command : {"solve", "assign", "evaluate", "compare"}) {
    const ProcessResult result = Ctl({command, "--help"});
    EXPECT_EQ(result.exit_code, 0);
    EXPECT_THAT(result.out, HasSubstr("--trace"));
  }
  EXPECT_EQ(Ctl({"--help"}).exit_code, 0);
  EXPECT_EQ(Ctl({"--version"}).exit_code, 0);
}

}  // namespace
}  // namespace advisor
