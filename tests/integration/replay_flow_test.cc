// The whole path with real processes: engines report through agents, the daemon solves and pushes,
// engines switch, and the saving is measured on requests that no plan had seen.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "core/base/rng.h"
#include "core/io/trace.h"
#include "gmock/gmock.h"
#include "tests/integration/process.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::Process;
using testing::RandomRequest;
using testing::ReadFile;
using testing::SmallModel;
using testing::TemporaryFolder;

const ModelSpec kModel = SmallModel(4, 16, 2);

// Two domains whose tokens keep to their own third of the experts in half of the choices.
Traffic TwoTastes() {
  Rng rng(11);
  Traffic traffic;
  traffic.model = kModel;
  traffic.source = "synthetic, of the integration test";
  for (int i = 0; i < 240; ++i) {
    traffic.requests.push_back(
        RandomRequest(kModel, absl::StrCat("r", i), 40, 12, i % 2 == 0 ? 0 : 8, &rng));
    traffic.requests.back().domain = i % 2 == 0 ? "law" : "code";
  }
  return traffic;
}

class ReplayFlowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_.Write("deployment.yaml", R"(
deployment: small
mode: active
phase: all
model: {name: small, moe_layers: 4, experts: 16, top_k: 2, hidden_size: 16, expert_bytes: 1000}
topology: {nodes: 2, gpus_per_node: 2, slots_per_gpu: 5}
)");
    folder_.Write("advisord.yaml", R"(
defaults:
  window: {bucket_tokens: 400, sample_tokens: 4096, frame_sample_tokens: 512}
  policy: {min_window_tokens: 500, min_solve_interval_s: 0, min_commit_interval_s: 0, gain_over_move_cost: 0,
           max_moved_fraction: 1, regression_tokens: 1000000}
  session: {min_report_interval_s: 0.02, max_report_interval_s: 0.1, ack_delay_s: 0.01}
)");
    ASSERT_THAT(WriteTrace(Path("trace.jsonl"), TwoTastes()), IsOk());
  }
  void TearDown() override {
    if (HasFailure()) {
      for (const char* name : {"advisord", "node-0", "node-1", "ctl"}) {
        std::printf("--- %s\n%s\n", name, ReadFile(Path(std::string(name) + ".err")).c_str());
      }
    }
  }
  std::string Path(const std::string& name) const { return folder_.Path(name); }

  std::unique_ptr<Process> StartDaemon() {
    auto daemon = std::make_unique<Process>(
        std::vector<std::string>{"advisord", "--config", Path("advisord.yaml"), "--deployment",
                                 Path("deployment.yaml"), "--listen", "127.0.0.1:0", "--http",
                                 "127.0.0.1:0", "--store", Path("plans.db"), "--ports-file",
                                 Path("ports")},
        Path("advisord"));
    EXPECT_TRUE(daemon->WaitForFile(Path("ports"))) << daemon->err();
    const std::string ports = ReadFile(Path("ports"));
    const size_t begin = ports.find("grpc=") + 5;
    server_ = ports.substr(begin, ports.find_first_of(" \n", begin) - begin);
    return daemon;
  }
  std::unique_ptr<Process> StartAgent(int node) {
    const std::string name = absl::StrCat("node-", node);
    auto agent = std::make_unique<Process>(
        std::vector<std::string>{"advisor-agent", "--server", server_, "--deployment", "small",
                                 "--node", name, "--socket", Path(name + ".sock"), "--plan-file",
                                 Path(name + ".json"), "--apply", "engine", "--reconnect-min",
                                 "0.05", "--reconnect-max", "0.2"},
        Path(name));
    EXPECT_TRUE(agent->WaitForFile(Path(name + ".sock"))) << agent->err();
    return agent;
  }
  // A command of advisorctl that is done within a minute or two.
  std::string Ctl(std::vector<std::string> argv, int want_exit = 0) {
    argv.insert(argv.begin(), "advisorctl");
    argv.push_back("--server");
    argv.push_back(server_);
    Process ctl(argv, Path("ctl"));
    EXPECT_EQ(ctl.Wait(120), want_exit) << ctl.err();
    return want_exit == 0 ? ctl.out() : ctl.err();
  }

  TemporaryFolder folder_;
  std::string server_;
};

TEST_F(ReplayFlowTest, APlanIsAdoptedAndSavesWhatIsMeasured) {
  auto daemon = StartDaemon();
  auto first = StartAgent(0), second = StartAgent(1);
  const std::string out = Ctl({"replay", "--trace", Path("trace.jsonl"), "--agents",
                               absl::StrCat(Path("node-0.sock"), ",", Path("node-1.sock")),
                               "--step-rate", "0", "--plan-wait", "30", "--json"});
  const auto result = nlohmann::json::parse(out, nullptr, false);
  ASSERT_FALSE(result.is_discarded()) << out;
  EXPECT_EQ(result["requests"], 240);
  EXPECT_EQ(result["tokens"], 240 * 40);
  EXPECT_EQ(result["lost_steps"], 0);
  EXPECT_THAT(result["source_note"].get<std::string>(), HasSubstr("SYNTHETIC"));
  ASSERT_FALSE(result["plans"].empty());
  EXPECT_EQ(result["plans"].back()["reason"], "first_plan");
  // The warm-up ran on the initial placement; later tokens under plans, and saved bytes there.
  ASSERT_GE(result["parts"].size(), 2u);
  EXPECT_EQ(result["parts"][0]["revision"], 0);
  int64_t tokens = 0;
  double under_plans = 0;
  for (const auto& part : result["parts"]) {
    tokens += part["all_tokens"].get<int64_t>();
    if (part["revision"] != 0) {
      under_plans += part["all"]["saving_ratio"].get<double>() * part["all_tokens"].get<double>();
    }
  }
  EXPECT_EQ(tokens, 240 * 40);
  EXPECT_GT(under_plans / (240 * 40), 0.02);

  // What the operator sees, and what the engines' files hold.
  const auto status = nlohmann::json::parse(Ctl({"status", "--json"}), nullptr, false);
  const auto& deployment = status["deployments"][0];
  EXPECT_EQ(deployment["mode"], "active");
  ASSERT_EQ(deployment["reporters"].size(), 2u);
  uint64_t reported = 0;
  for (const auto& reporter : deployment["reporters"]) {
    reported += reporter["tokens"].get<uint64_t>();
    EXPECT_EQ(reporter["lost_steps"], 0);
    EXPECT_EQ(reporter["rejected_blocks"], 0);
  }
  EXPECT_EQ(reported, 240u * 40);  // every token exactly once
  const auto stored = nlohmann::json::parse(ReadFile(Path("node-0.json")), nullptr, false);
  ASSERT_FALSE(stored.is_discarded());
  EXPECT_EQ(stored["revision"], deployment["in_force"]["revision"]);
  EXPECT_THAT(Ctl({"plans"}), HasSubstr("first_plan"));
  EXPECT_THAT(Ctl({"show"}), HasSubstr("plan "));
  const std::string why = Ctl({"explain", "--trace", Path("trace.jsonl")});
  for (const char* text : {"\nplan 1.", "predicted to save", "ago", "dearest remaining flows"}) {
    EXPECT_THAT("\n" + why, HasSubstr(text));
  }
  // The live window, without a trace: what it has to give, what the plan does to it, and as a file.
  EXPECT_THAT(Ctl({"explain"}), HasSubstr("dearest remaining flows"));
  EXPECT_THAT(Ctl({"explain", "--layer", "0", "--expert", "3"}), HasSubstr("expert 3"));
  const auto live = nlohmann::json::parse(Ctl({"characterize", "small", "--json"}), nullptr, false);
  EXPECT_EQ(live["source"], "window of deployment small");
  EXPECT_EQ(live["domains"].size(), deployment["domains"].size());
  EXPECT_NEAR(live["tokens"].get<double>(), deployment["window_tokens"].get<double>(), 1);
  EXPECT_THAT(Ctl({"window", "--out", Path("window.jsonl.gz")}), HasSubstr("which stand for"));
  Process offline({"advisorctl", "characterize", "--trace", Path("window.jsonl.gz"), "--json"},
                  Path("offline"));
  EXPECT_EQ(offline.Wait(60), 0) << offline.err();
  EXPECT_EQ(nlohmann::json::parse(offline.out(), nullptr, false), live);
  const auto explained = nlohmann::json::parse(Ctl({"explain", "--json"}), nullptr, false);
  EXPECT_FALSE(explained["decisions"].empty());
  EXPECT_EQ(explained["plans"][0]["position"]["epoch"], 1);

  EXPECT_EQ(first->Stop(), 0);
  EXPECT_EQ(second->Stop(), 0);
  EXPECT_EQ(daemon->Stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(Path("node-0.sock")));
}

TEST_F(ReplayFlowTest, ADaemonThatIsAwayIsSaidInOneLine) {
  server_ = "127.0.0.1:1";
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"status"},
           {"explain", "small"},
           {"replay", "--trace", Path("trace.jsonl"), "--agents", Path("x.sock")}}) {
    const std::string err = Ctl(command, 1);
    EXPECT_THAT(err, HasSubstr("cannot reach advisord at 127.0.0.1:1"));
    EXPECT_THAT(err, HasSubstr("is it running?"));
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
  }
}

TEST_F(ReplayFlowTest, AnAgentRunsOnWithoutADaemonAndWrongUsageIsTwo) {
  server_ = "127.0.0.1:1";
  auto agent = StartAgent(0);
  EXPECT_TRUE(agent->running());
  EXPECT_EQ(agent->Stop(), 0);
  Process usage({"advisor-agent", "--no-such-flag"}, Path("usage"));
  EXPECT_EQ(usage.Wait(20), 2);
  Process bad({"advisor-agent", "--deployment", "small", "--node", "node-0", "--socket",
               Path("no/such/folder.sock")},
              Path("bad"));
  EXPECT_EQ(bad.Wait(20), 1);
  EXPECT_THAT(bad.err(), HasSubstr("cannot listen on"));
}

}  // namespace
}  // namespace advisor
