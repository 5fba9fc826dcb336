// `advisorctl evaluate` against the independent checker: every figure, to a relative 1e-6.
#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/io/plan_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/client/ctl/ctl.h"

namespace advisor {
namespace {

using ::advisor::testing::Ctl;
using ::advisor::testing::IsOk;
using ::advisor::testing::ProcessResult;
using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::RunProcess;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;
using ::advisor::testing::TemporaryFolder;
using Json = nlohmann::json;

void ExpectSameFigures(const Json& ours, const Json& checker, const std::string& where) {
  ASSERT_EQ(ours.is_object(), checker.is_object()) << where;
  if (ours.is_object()) {
    for (const auto& [key, value] : ours.items()) {
      EXPECT_TRUE(checker.contains(key)) << where << " " << key << " is not the checker's";
    }
    for (const auto& [key, value] : checker.items()) {
      ASSERT_TRUE(ours.contains(key)) << where << " lacks " << key;
      ExpectSameFigures(ours[key], value, absl::StrCat(where, " ", key));
    }
    return;
  }
  const double a = ours.get<double>(), b = checker.get<double>();
  EXPECT_LE(std::abs(a - b), 1e-6 * std::max(std::abs(a), std::abs(b)))
      << where << ": " << a << " against " << b;
}

// A plan with spare copies and remote choices; nodes of different sizes.
Plan SparePlan(const ModelSpec& model, int slots_per_gpu, Rng* rng) {
  Plan plan;
  plan.model = model;
  plan.topology = *Topology::Create({{"a", 2, slots_per_gpu, ""},
                                     {"b", 1, slots_per_gpu, ""},
                                     {"c", 3, slots_per_gpu, ""},
                                     {"d", 2, slots_per_gpu, ""}});
  plan.placement = RandomPlacement(model, plan.topology, rng);
  plan.remote_choice = RandomRemoteChoice(model, plan.topology, plan.placement, rng);
  return plan;
}

Plan LinearPlan(const ModelSpec& model, int slots_per_gpu) {
  Plan plan;
  plan.model = model;
  plan.topology = *Topology::Uniform(4, 2, slots_per_gpu);
  plan.placement = LinearPlacement(model, plan.topology);
  return plan;
}

class EvaluateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("ADVISOR_CHECKER") == nullptr) {
      GTEST_SKIP()
          << "ADVISOR_CHECKER is not set: evaluate is not held against the independent checker";
    }
  }

  // Random homes, uneven on purpose.
  std::string WriteHomes(const Traffic& traffic, int nodes) {
    Rng rng(7);
    std::vector<Assignment> assignments;
    for (const Request& request : traffic.requests) {
      const auto node = static_cast<int>(rng.Below(nodes) * rng.Below(4) / 3);
      assignments.push_back({request.id, NodeId(node), -1});
    }
    EXPECT_THAT(WriteAssignments(folder_.Path("homes.jsonl"), assignments), IsOk());
    return folder_.Path("homes.jsonl");
  }

  void ExpectAgreement(const std::string& trace, const Plan& plan,
                       const std::vector<std::string>& phases,
                       const std::vector<std::string>& dispatches) {
    ASSERT_OK_AND_ASSIGN(const Traffic traffic, ReadTrace(trace));
    ASSERT_THAT(WritePlan(folder_.Path("plan.json"), plan), IsOk());
    const std::string homes = WriteHomes(traffic, plan.topology.node_count());
    for (const std::string& phase : phases) {
      for (const std::string& dispatch : dispatches) {
        const std::vector<std::string> arguments = {
            "--trace",       trace,   "--plan",  folder_.Path("plan.json"),
            "--assignments", homes,   "--phase", phase,
            "--dispatch",    dispatch};
        std::vector<std::string> ours = {"evaluate", "--json"};
        ours.insert(ours.end(), arguments.begin(), arguments.end());
        std::vector<std::string> checkers = {"/usr/bin/python3", std::getenv("ADVISOR_CHECKER")};
        checkers.insert(checkers.end(), arguments.begin(), arguments.end());
        const ProcessResult a = Ctl(ours), b = RunProcess(checkers);
        ASSERT_EQ(a.exit_code, 0) << a.err;
        ASSERT_EQ(b.exit_code, 0) << b.err;
        ExpectSameFigures(Json::parse(a.out), Json::parse(b.out),
                          absl::StrCat(phase, " ", dispatch));
      }
    }
  }

  void ExpectAgreementOnRealTrace(const std::string& name, int slots_per_gpu,
                                  const std::vector<std::string>& dispatches) {
    const char* traces = std::getenv("ADVISOR_TRACES");
    if (traces == nullptr) {
      GTEST_SKIP()
          << "ADVISOR_TRACES is not set: evaluate is not held against the checker on real traces";
    }
    const std::string path = absl::StrCat(traces, "/", name);
    ASSERT_OK_AND_ASSIGN(const auto reader, TraceReader::Open(path));
    Rng rng(11);
    ExpectAgreement(path, SparePlan(reader->model(), slots_per_gpu, &rng), {"decode"}, dispatches);
    ExpectAgreement(path, LinearPlan(reader->model(), slots_per_gpu), {"all"}, {"table"});
  }

  TemporaryFolder folder_;
};

const std::vector<std::string> kPhases = {"decode", "prefill", "all"};
const std::vector<std::string> kDispatches = {"table", "cover"};

TEST_F(EvaluateTest, LinearPlan) {
  const ModelSpec model = SmallModel(3, 16, 3);
  const std::string trace = testing::WriteRandomTrace(folder_, "t.jsonl.gz", model, 30, 1);
  ExpectAgreement(trace, LinearPlan(model, 3), kPhases, {"table"});
}

TEST_F(EvaluateTest, PlanWithSpareCopiesAndRemoteChoice) {
  const ModelSpec model = SmallModel(3, 16, 4);
  const std::string trace = testing::WriteRandomTrace(folder_, "t.jsonl.gz", model, 30, 2);
  Rng rng(3);
  ExpectAgreement(trace, SparePlan(model, 4, &rng), kPhases, kDispatches);
}

TEST_F(EvaluateTest, TraceOfSumsOnlyAndOneOfBoth) {
  const ModelSpec model = SmallModel(2, 12, 2);
  Rng rng(4);
  Traffic traffic = RandomTraffic(model, 20, 3, &rng);
  for (size_t i = 0; i < traffic.requests.size(); i += 2) {
    traffic.requests[i] = SumsOf(model, traffic.requests[i]);
  }
  const Plan plan = SparePlan(model, 3, &rng);
  ASSERT_THAT(WriteTrace(folder_.Path("both.jsonl"), traffic), IsOk());
  ExpectAgreement(folder_.Path("both.jsonl"), plan, {"decode", "all"}, {"table"});
  for (Request& request : traffic.requests) {
    request = request.counts_only() ? request : SumsOf(model, request);
  }
  ASSERT_THAT(WriteTrace(folder_.Path("sums.jsonl"), traffic), IsOk());
  ExpectAgreement(folder_.Path("sums.jsonl"), plan, {"decode"}, kDispatches);
}

TEST_F(EvaluateTest, DealsRoundRobinWithoutAssignmentsAndTakesTheTracesSizesWhereThePlanIsSilent) {
  ModelSpec model = SmallModel(2, 12, 2);
  model.dispatch_bytes_per_value = 0.5;
  const std::string trace = testing::WriteRandomTrace(folder_, "t.jsonl", model, 20, 5);
  Json plan = Json::parse(PlanToJson(LinearPlan(model, 2)));
  for (const char* key : {"hidden_size", "dispatch_bytes_per_value", "combine_bytes_per_value"}) {
    plan["model"].erase(key);
  }
  const std::string path = folder_.Write("plan.json", plan.dump());
  const ProcessResult a = Ctl({"evaluate", "--json", "--trace", trace, "--plan", path});
  const ProcessResult b = RunProcess(
      {"/usr/bin/python3", std::getenv("ADVISOR_CHECKER"), "--trace", trace, "--plan", path});
  ASSERT_EQ(a.exit_code, 0) << a.err;
  ASSERT_EQ(b.exit_code, 0) << b.err;
  ExpectSameFigures(Json::parse(a.out), Json::parse(b.out), "round-robin");
  EXPECT_GT(Json::parse(a.out)["internode_bytes_per_token"], 0);
}

TEST_F(EvaluateTest, DeepseekV2Lite) {
  ExpectAgreementOnRealTrace("deepseek-v2-lite.jsonl.gz", 10, kDispatches);
}

TEST_F(EvaluateTest, GptOss20b) {
  ExpectAgreementOnRealTrace("gpt-oss-20b.jsonl.gz", 5, {"table"});
}

}  // namespace
}  // namespace advisor
