#include "core/io/deployment_file.h"

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/files.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::absl::StatusCode;
using ::advisor::testing::StatusIs;
using ::advisor::testing::TemporaryFolder;
using ::testing::HasSubstr;

constexpr char kDeployment[] = R"(deployment: chat-prod
mode: active
phase: decode
model:
  name: deepseek-v3
  moe_layers: 58
  hidden_layers: 61
  first_moe_layer: 3
  experts: 256
  top_k: 8
  expert_groups: 8
  groups_per_token: 4
  hidden_size: 7168
  dispatch_bytes_per_value: 1
  combine_bytes_per_value: 2
  expert_bytes: 44040192
topology:
  nodes:
    - {name: node-0, gpus: 8, slots_per_gpu: 18, rack: r0}
    - {name: node-1, gpus: 8, slots_per_gpu: 18}
microbatches: 2
time_model:
  internode_gbytes_per_s: 50
  intranode_gbytes_per_s: 450
  expert_ns_per_token: 900
)";

absl::StatusOr<Deployment> ParseEdited(const std::string& from, const std::string& to) {
  const std::string edited = absl::StrReplaceAll(kDeployment, {{from, to}});
  EXPECT_NE(edited, kDeployment) << from;
  return ParseDeployment(edited, "d.yaml");
}

auto Invalid(const std::string& text) {
  return StatusIs(StatusCode::kInvalidArgument, HasSubstr(text));
}

TEST(DeploymentFileTest, ReadsTheLongForm) {
  TemporaryFolder folder;
  ASSERT_OK_AND_ASSIGN(const Deployment d, ReadDeployment(folder.Write("d.yaml", kDeployment)));
  EXPECT_EQ(d.name, "chat-prod");
  EXPECT_EQ(d.mode, Mode::kActive);
  EXPECT_EQ(d.phase, PhaseFilter::kDecode);
  EXPECT_EQ(d.model.moe_layers, 58);
  EXPECT_EQ(d.model.groups_per_token, 4);
  EXPECT_EQ(d.model.expert_bytes, 44040192);
  EXPECT_EQ(d.topology.slot_count(), 288);
  EXPECT_EQ(d.topology.nodes()[0].rack, "r0");
  EXPECT_EQ(d.microbatches, 2);
  EXPECT_EQ(d.time_model, (TimeModel{50, 450, 900}));
}

TEST(DeploymentFileTest, ReadsTheShortFormAndDefaults) {
  ASSERT_OK_AND_ASSIGN(const Deployment d,
                       ParseDeployment("deployment: a\n"
                                       "model: {moe_layers: 2, experts: 8, top_k: 2}\n"
                                       "topology: {nodes: 2, gpus_per_node: 2, slots_per_gpu: 3}\n",
                                       "d.yaml"));
  EXPECT_EQ(d.mode, Mode::kAdvisory);
  EXPECT_EQ(d.phase, PhaseFilter::kAll);
  EXPECT_EQ(d.topology, *Topology::Uniform(2, 2, 3));
  EXPECT_EQ(d.microbatches, 1);
  EXPECT_FALSE(d.time_model.has_value());
}

TEST(DeploymentFileTest, ReadsAlternatingLayers) {
  ASSERT_OK_AND_ASSIGN(
      const Deployment d,
      ParseDeployment("deployment: a\n"
                      "model: {moe_layers: 2, experts: 8, top_k: 2, moe_layer_indices: [1, 3]}\n"
                      "topology: {nodes: 2, gpus_per_node: 2, slots_per_gpu: 2}\n",
                      "d.yaml"));
  EXPECT_EQ(d.model.HiddenLayer(1), 3);
}

TEST(DeploymentFileTest, NamesKeyAndLineOfWhatIsWrong) {
  EXPECT_THAT(ParseEdited("microbatches: 2", "micro_batches: 2"),
              Invalid("d.yaml:21: unknown key micro_batches"));
  EXPECT_THAT(ParseEdited("  top_k: 8", "  top_k: 8\n  topk: 8"),
              Invalid("d.yaml:11: unknown key model.topk"));
  EXPECT_THAT(ParseEdited("  top_k: 8", "  top_k: 8\n  top_k: 6"),
              Invalid("d.yaml:11: key model.top_k is there twice, first in line 10"));
  EXPECT_THAT(ParseEdited("  top_k: 8\n", ""), Invalid("d.yaml:4: model.top_k is missing"));
  EXPECT_THAT(ParseEdited("top_k: 8", "top_k: 008"),
              Invalid("d.yaml:10: model.top_k is \"008\", must be an integer 1 .. 64"));
  EXPECT_THAT(ParseEdited("experts: 256", "experts: 2560"),
              Invalid("d.yaml:9: model.experts is \"2560\", must be an integer 1 .. 1024"));
  EXPECT_THAT(ParseEdited("mode: active", "mode: on"),
              Invalid("d.yaml:2: mode is \"on\", must be one of advisory, active"));
  EXPECT_THAT(ParseEdited("phase: decode", "phase: both"),
              Invalid("d.yaml:3: phase is \"both\", must be one of all, prefill, decode"));
  EXPECT_THAT(ParseEdited("chat-prod", "Chat Prod"),
              Invalid("d.yaml:1: deployment is \"Chat Prod\""));
  EXPECT_THAT(ParseEdited("expert_groups: 8", "expert_groups: 7"),
              Invalid("d.yaml:4: model.expert_groups is 7, must divide"));
  EXPECT_THAT(ParseEdited("node-1", "node-0"),
              Invalid("d.yaml:17: topology.nodes[1].name is \"node-0\""));
  EXPECT_THAT(ParseEdited("gpus: 8, slots_per_gpu: 18}", "gpus: 0, slots_per_gpu: 18}"),
              Invalid("d.yaml:20: topology.nodes[1].gpus is \"0\", must be an integer 1 .. 1024"));
  EXPECT_THAT(ParseEdited("rack: r0", "rak: r0"),
              Invalid("d.yaml:19: unknown key topology.nodes[0].rak"));
  EXPECT_THAT(ParseEdited("microbatches: 2", "microbatches: 17"),
              Invalid("must be an integer 1 .. 16"));
  EXPECT_THAT(ParseEdited("  expert_ns_per_token: 900\n", ""),
              Invalid("d.yaml:22: time_model.expert_ns_per_token is missing"));
  EXPECT_THAT(ParseEdited("expert_ns_per_token: 900", "expert_ns_per_token: 0"),
              Invalid("time_model.expert_ns_per_token is \"0\""));
}

TEST(DeploymentFileTest, WhatIsWrittenReadsBack) {
  constexpr char kAlternating[] = R"(deployment: a
model: {name: "m: 1", moe_layers: 2, moe_layer_indices: [1, 3], experts: 4, top_k: 1, combine_bytes_per_value: 0.1}
topology: {nodes: 2, gpus_per_node: 1, slots_per_gpu: 2}
)";
  for (const char* text : {kDeployment, kAlternating}) {
    ASSERT_OK_AND_ASSIGN(const Deployment d, ParseDeployment(text, "d.yaml"));
    ASSERT_OK_AND_ASSIGN(const Deployment back, ParseDeployment(DeploymentToYaml(d), "back.yaml"));
    EXPECT_EQ(back.name, d.name);
    EXPECT_EQ(back.mode, d.mode);
    EXPECT_EQ(back.phase, d.phase);
    EXPECT_EQ(back.model, d.model);
    EXPECT_EQ(back.topology, d.topology);
    EXPECT_EQ(back.microbatches, d.microbatches);
    EXPECT_EQ(back.time_model, d.time_model);
  }
}

TEST(DeploymentFileTest, TooFewSlotsGiveTheMissingNumber) {
  EXPECT_THAT(
      ParseEdited("slots_per_gpu: 18", "slots_per_gpu: 15"),
      StatusIs(
          StatusCode::kFailedPrecondition,
          HasSubstr(
              "d.yaml:17: topology has 240 slots for 256 experts a layer: 16 slots are missing")));
}

TEST(DeploymentFileTest, MissingFile) {
  EXPECT_THAT(ReadDeployment("/none/d.yaml"),
              StatusIs(StatusCode::kNotFound, HasSubstr("/none/d.yaml")));
}

}  // namespace
}  // namespace advisor
