#include "server/observe/status_json.h"

#include <memory>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/server/support/sample_status.h"

namespace advisor::server {
namespace {

TEST(StatusJsonTest, TellsEverything) {
  RuntimeStatus runtime;
  runtime.version = "1.2.3";
  runtime.now = absl::FromUnixSeconds(130);
  runtime.uptime_s = 42;
  const auto json = nlohmann::json::parse(StatusJson(testing::SampleStatus(), runtime));
  EXPECT_EQ(json["version"], "1.2.3");
  EXPECT_EQ(json["epoch"], 2);
  EXPECT_EQ(json["uptime_s"], 42);
  const auto& d = json["deployments"][0];
  EXPECT_EQ(d["deployment"], "chat");
  EXPECT_EQ(d["mode"], "advisory");
  EXPECT_EQ(d["position"]["revision"], 7);
  EXPECT_EQ(d["measured_saving"], 0.25);
  EXPECT_EQ(d["reporters"][0]["state"], "stale");
  EXPECT_TRUE(d["reporters"][0]["applied"].is_null());
  EXPECT_EQ(d["reporters"][0]["left_out"][0]["domain"], "law \"and\" order");
  EXPECT_EQ(d["reporters"][0]["left_out"][0]["distance"], 0.75);
  EXPECT_EQ(d["subscribers"][0]["phase"], "rolled_back");
  EXPECT_EQ(d["subscribers"][0]["nack"], "out_of_memory");
  EXPECT_EQ(d["domains"][0]["domain"], "law \"and\" order");
  EXPECT_EQ(d["decisions"][0]["reason"], "no_gain");
  EXPECT_EQ(d["decisions"][0]["age_s"], 30);
  EXPECT_EQ(d["plans"][0]["content_hash"], "fedcba9876543210");
  EXPECT_EQ(d["plans"][0]["predicted_saving"], 0.25);
  EXPECT_TRUE(d["plans"][0]["modelled"].is_null());
  EXPECT_EQ(d["plans"][0]["moved_slots"], 1);
  EXPECT_EQ(d["plans"][0]["moved_bytes"], 1000);
}

TEST(StatusJsonTest, EstimatesAreLabelledAsModelled) {
  EngineStatus status = testing::SampleStatus();
  Plan plan = *status.deployments[0].plans[0].plan;
  plan.predicted->figures.modelled_moe_ms_per_step = 1.5;
  plan.predicted->figures.modelled_gpu_utilisation = 0.5;
  plan.predicted->figures.modelled_baseline_moe_ms_per_step = 2.5;
  status.deployments[0].plans[0].plan = std::make_shared<const Plan>(plan);
  const auto json = nlohmann::json::parse(StatusJson(status, {}));
  const auto& modelled = json["deployments"][0]["plans"][0]["modelled"];
  EXPECT_EQ(modelled["moe_ms_per_step"], 1.5);
  EXPECT_EQ(modelled["gpu_utilisation"], 0.5);
  EXPECT_EQ(modelled["baseline_moe_ms_per_step"], 2.5);
  EXPECT_TRUE(modelled["baseline_gpu_utilisation"].is_null());
}

TEST(StatusJsonTest, IsValidWhateverAPeerCallsItself) {
  EngineStatus status = testing::SampleStatus();
  status.deployments[0].reporters[0].node = "\xff\xfe";
  EXPECT_TRUE(nlohmann::json::accept(StatusJson(status, {})));
}

}  // namespace
}  // namespace advisor::server
