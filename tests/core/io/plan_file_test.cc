#include "core/io/plan_file.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "core/base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/files.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::absl::StatusCode;
using ::advisor::testing::IsOk;
using ::advisor::testing::ReadFile;
using ::advisor::testing::StatusIs;
using ::advisor::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

std::vector<float> RandomFloats(Rng& rng, size_t n) {
  std::vector<float> values(n);
  for (float& v : values) {
    v = static_cast<float>(rng.Normal());
  }
  return values;
}

Figures SomeFigures(double x) {
  Figures f;
  f.tokens = 123456789012;
  f.remote_visits_per_token_layer = 0.1 + x;
  f.internode_bytes_per_token = 1e5 / 3 + x;
  f.remote_activation_ratio = 1.0 / 3;
  f.node_load = {1.1, 1.0 / 0.7};
  f.gpu_load = {1.2, 1e-17 + x};
  f.max_pair_message = 2.0 / 3;
  f.home_token_max_over_mean = 1.01;
  f.saving_ratio = -0.25;
  f.remote_activation_saving_ratio = 0.3;
  f.distinct_experts_per_microbatch = 17.5;
  f.modelled_moe_ms_per_step = 1.5;
  f.modelled_gpu_utilisation = 2.5;
  f.modelled_baseline_moe_ms_per_step = 3.5;
  f.modelled_baseline_gpu_utilisation = 4.5;
  return f;
}

Plan FullPlan(int layers, int experts, int nodes) {
  Plan plan;
  plan.deployment = "chat";
  plan.position = {3, ~uint64_t{0}};
  plan.model.name = "m";
  plan.model.moe_layers = layers;
  plan.model.experts = experts;
  plan.model.top_k = 2;
  plan.model.hidden_size = 64;
  plan.model.expert_bytes = 1000;
  std::vector<NodeSpec> specs;
  for (int n = 0; n < nodes; ++n) {
    specs.push_back(
        {absl::StrCat("n", n), 1 + n % 2, (experts + nodes - 1) / nodes + 1, n == 0 ? "r0" : ""});
  }
  plan.topology = *Topology::Create(specs);
  plan.placement = LinearPlacement(plan.model, plan.topology);
  plan.remote_choice = RemoteChoice(layers, nodes, experts);
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  for (int l = 0; l < layers; ++l) {
    for (int e = 0; e < experts; ++e) {
      plan.remote_choice.row(LayerId(l), NodeId(0))[e] = serve.Serves(l, 0, e);
    }
  }
  Rng rng(1);
  Grouping& g = plan.grouping;
  g.revision = 9;
  g.layers = layers;
  g.experts = experts;
  g.nodes = nodes;
  g.domains = {"", "law é"};
  g.bias = RandomFloats(rng, nodes);
  g.node_share = RandomFloats(rng, nodes);
  g.domain_cost = RandomFloats(rng, 2 * nodes);
  g.affinity = RandomFloats(rng, size_t(layers) * experts * nodes);
  g.decode_per_prompt_token = 0.3f;
  g.mean_decode_tokens = 77.7f;
  g.load_slack = 0.031f;
  g.load_slack_requests = 1.5f;
  g.load_price = 0.7f;
  g.microbatches = 3;
  plan.predicted.emplace();
  plan.predicted->figures = SomeFigures(0);
  plan.predicted->prefill = SomeFigures(1);
  plan.predicted->decode = SomeFigures(2);
  plan.predicted->fit = SomeFigures(3);
  plan.predicted->layers_over_cap = {0, layers - 1};
  plan.bounds = {0.01, 2.0 / 3, 0.1, 1.0, 1.0000001, 7.5, 0.3};
  plan.moves = {{0, 1, 0, -1, 1000}, {layers - 1, 0, 1, 2, 1000}};
  plan.reason = "drift";
  plan.method = "paper";
  plan.seed = 42;
  plan.time_limit_struck = true;
  return plan;
}

void ExpectEqual(const Plan& a, const Plan& b) {
  EXPECT_EQ(a.deployment, b.deployment);
  EXPECT_EQ(a.position, b.position);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.topology, b.topology);
  EXPECT_EQ(a.placement, b.placement);
  EXPECT_EQ(a.remote_choice, b.remote_choice);
  EXPECT_EQ(a.grouping, b.grouping);
  EXPECT_EQ(a.predicted, b.predicted);
  EXPECT_EQ(a.bounds, b.bounds);
  EXPECT_EQ(a.moves, b.moves);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.method, b.method);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.time_limit_struck, b.time_limit_struck);
}

// Breaks when Grouping gains a field: write it, read it and set it in FullPlan.
[[maybe_unused]] void CountFields(const Grouping& g) {
  [[maybe_unused]] const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] =
      g;
}

TEST(PlanFileTest, EverythingRoundTripsExactly) {
  TemporaryFolder folder;
  const Plan plan = FullPlan(3, 10, 3);
  ASSERT_THAT(WritePlan(folder.Path("p.json"), plan), IsOk());
  ASSERT_OK_AND_ASSIGN(const Plan back, ReadPlan(folder.Path("p.json")));
  ExpectEqual(plan, back);
  EXPECT_EQ(PlanToJson(back), PlanToJson(plan));
}

TEST(PlanFileTest, AnEmptyPlanRoundTrips) {
  Plan plan = FullPlan(2, 4, 1);
  plan.remote_choice = RemoteChoice();
  plan.grouping = Grouping();
  plan.predicted.reset();
  plan.bounds = Bounds();
  plan.moves.clear();
  ASSERT_OK_AND_ASSIGN(const Plan back, ParsePlan(PlanToJson(plan), "p.json"));
  ExpectEqual(plan, back);
}

TEST(PlanFileTest, PredictionWithFitOnlyRoundTrips) {
  Plan plan = FullPlan(2, 4, 2);
  plan.predicted = Predicted();
  plan.predicted->fit = SomeFigures(0);
  const Json json = Json::parse(PlanToJson(plan));
  EXPECT_FALSE(json["predicted"].contains("tokens"));
  ASSERT_OK_AND_ASSIGN(const Plan back, ParsePlan(PlanToJson(plan), "p.json"));
  EXPECT_EQ(back.predicted, plan.predicted);
}

TEST(PlanFileTest, ALargePlanStaysSmall) {
  const Plan plan = FullPlan(58, 256, 8);
  EXPECT_LT(PlanToJson(plan).size(), size_t{1500} << 10);
}

TEST(PlanFileTest, ReadersNeedFiveKeysOnly) {
  ASSERT_OK_AND_ASSIGN(
      const Plan plan,
      ParsePlan(
          R"({"format":"moe-placement-plan","version":1,"model":{"moe_layers":1,"experts":2,"top_k":1},
        "topology":{"nodes":[{"name":"a","gpus":1,"slots_per_gpu":2}]},"placement":[[1,0]],"later":{"key":1},
        "remote_choice":null,"grouping":null})",
          "p.json"));
  EXPECT_EQ(plan.placement.row(LayerId(0))[0], 1);
  EXPECT_TRUE(plan.remote_choice.empty());
  EXPECT_EQ(plan.model.combine_bytes_per_value, 2);
}

// The status of the full plan after `edit`.
absl::Status ReadEdited(const std::function<void(Json&)>& edit) {
  Json json = Json::parse(PlanToJson(FullPlan(3, 10, 3)));
  edit(json);
  return ParsePlan(json.dump(), "p.json").status();
}

TEST(PlanFileTest, NamesWhatIsWrong) {
  const auto invalid = [](const std::string& text) {
    return StatusIs(StatusCode::kInvalidArgument, HasSubstr("p.json: " + text));
  };
  EXPECT_THAT(ReadEdited([](Json& j) { j = Json::array(); }), invalid("is [], must be an object"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["format"] = "x"; }),
              invalid("format is \"x\", must be \"moe-placement-plan\""));
  EXPECT_THAT(ReadEdited([](Json& j) { j["version"] = 2; }), invalid("version is 2"));
  for (const char* key : {"format", "version", "model", "topology", "placement"}) {
    EXPECT_THAT(ReadEdited([key](Json& j) { j.erase(key); }),
                invalid(absl::StrCat(key, " is missing")));
  }
  EXPECT_THAT(ReadEdited([](Json& j) { j["model"]["experts"] = 0; }),
              invalid("model.experts is 0, must be"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["model"]["top_k"] = 11; }),
              invalid("model.top_k is 11, must be 1 .. 10"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["topology"]["nodes"] = 3; }),
              invalid("topology.nodes is 3, must be a list"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["topology"]["nodes"][1]["gpus"] = -1; }),
              invalid("topology.nodes[1].gpus is -1"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["topology"]["nodes"][1]["name"] = "n0"; }),
              invalid("topology.nodes[1].name is \"n0\""));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"].erase(0); }),
              invalid("placement has 2 entries, must be a list of 3"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"][1].push_back(0); }),
              invalid("placement[1] has 21 values, must be a list of 20"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"][1][2] = 10; }),
              invalid("placement[1][2] is 10, must be an integer -1 .. 9"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"][1][2] = -2; }),
              invalid("placement[1][2] is -2"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"][1][2] = 1e300; }),
              invalid("placement[1][2] is 1e+300"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"][1] = std::vector<int>(20, -1); }),
              invalid("layer 1: no copy of expert 0"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["placement"][1][1] = j["placement"][1][0]; }),
              invalid("layer 1: two copies of expert 0 on GPU 0"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["remote_choice"][1][2].erase(0); }),
              invalid("remote_choice[1][2] has 9 values, must be a list of 10"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["remote_choice"][1].erase(0); }),
              invalid("remote_choice[1] has 2 entries, must be a list of 3 (home nodes)"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["remote_choice"][1][2][0] = 3; }),
              invalid("remote_choice[1][2][0] is 3"));
  EXPECT_THAT(
      ReadEdited([](Json& j) { j["remote_choice"][1][2][0] = 1; }),
      invalid(
          "layer 1: remote_choice of home node 2 sends expert 0 to node 1, which holds no copy"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["grouping"]["bias"] = "AAAA"; }),
              invalid("grouping.bias must be 16 base64 characters of 3 float32"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["grouping"].erase("affinity"); }),
              invalid("grouping.affinity is missing"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["grouping"]["domains"][0] = 1; }),
              invalid("grouping.domains has 1, must be a list of text"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["moves"] = 1; }), invalid("moves is 1, must be a list"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["moves"][1]["layer"] = 3; }),
              invalid("moves[1].layer is 3, must be an integer 0 .. 2"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["predicted"]["node_load"] = 1; }),
              invalid("predicted.node_load is 1, must be an object"));
  EXPECT_THAT(ReadEdited([](Json& j) { j["predicted"]["fit"]["tokens"] = "many"; }),
              invalid("predicted.fit.tokens is \"many\""));
  EXPECT_THAT(ReadEdited([](Json& j) { j["epoch"] = -1; }), invalid("epoch is -1"));
}

TEST(PlanFileTest, TooFewSlotsIsFailedPrecondition) {
  EXPECT_THAT(ReadEdited([](Json& j) {
                j["topology"]["nodes"].erase(0);
                j["topology"]["nodes"].erase(0);
                j["placement"] = std::vector<std::vector<int>>(3, {0, 1, 2, 3, 4});
                j.erase("remote_choice");
                j.erase("grouping");
                j.erase("moves");
              }),
              StatusIs(StatusCode::kFailedPrecondition,
                       HasSubstr("p.json: topology has 5 slots for 10 experts")));
}

TEST(PlanFileTest, EveryCutIsDataLoss) {
  const std::string text = PlanToJson(FullPlan(1, 4, 2));
  for (size_t n = 1; n < text.size() - 2; n += 3) {
    EXPECT_THAT(ParsePlan(text.substr(0, n), "p.json"),
                StatusIs(StatusCode::kDataLoss, HasSubstr("p.json: ")))
        << n;
  }
}

TEST(PlanFileTest, ABadPlanIsNotWritten) {
  TemporaryFolder folder;
  const std::string path = folder.Write("p.json", "old");
  Plan plan = FullPlan(2, 4, 2);
  plan.placement.cells()[0] = kEmptySlot;
  EXPECT_THAT(WritePlan(path, plan),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no copy of expert 0")));
  EXPECT_EQ(ReadFile(path), "old");
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(PlanFileTest, FiguresHaveExactlyTheContractsKeys) {
  const auto keys = [](const Figures& f) {
    std::vector<std::string> names;
    const Json json = Json::parse(FiguresToJson(f));
    for (const auto& [key, value] : json.items()) {
      names.push_back(key);
    }
    return names;
  };
  Figures full = SomeFigures(0);
  full.distinct_experts_per_microbatch.reset();
  full.modelled_moe_ms_per_step.reset();
  full.modelled_gpu_utilisation.reset();
  full.modelled_baseline_moe_ms_per_step.reset();
  full.modelled_baseline_gpu_utilisation.reset();
  EXPECT_THAT(keys(full), UnorderedElementsAre("tokens", "remote_visits_per_token_layer",
                                               "internode_bytes_per_token",
                                               "remote_activation_ratio", "node_load", "gpu_load",
                                               "max_pair_message", "home_token_max_over_mean",
                                               "saving_ratio", "remote_activation_saving_ratio"));
  EXPECT_THAT(keys(Figures{}),
              UnorderedElementsAre("tokens", "remote_activation_ratio", "node_load", "gpu_load",
                                   "home_token_max_over_mean"));
}

}  // namespace
}  // namespace advisor
