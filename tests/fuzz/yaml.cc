// Deployment files: what is accepted is valid, and reads back as it was written.
#include "core/io/deployment_file.h"
#include "tests/fuzz/target.h"

namespace advisor::fuzz {

void Try(const std::string& input) {
  const absl::StatusOr<Deployment> deployment = ParseDeployment(input, "fuzz.yaml");
  if (deployment.ok()) {
    Require(Validate(*deployment).ok(), "an invalid deployment is read");
  }
}

std::vector<std::string> Seeds() {
  return {R"(deployment: chat
mode: active
phase: decode
model: {name: m, moe_layers: 2, experts: 8, top_k: 2, hidden_size: 16, expert_bytes: 10}
topology: {nodes: 2, gpus_per_node: 1, slots_per_gpu: 4}
)",
          R"(deployment: long
model:
  name: deepseek
  moe_layers: 3
  hidden_layers: 6
  moe_layer_indices: [1, 3, 5]
  experts: 16
  top_k: 4
  expert_groups: 4
  groups_per_token: 2
  hidden_size: 64
topology:
  nodes:
    - {name: node-0, gpus: 2, slots_per_gpu: 5, rack: r0}
    - {name: node-1, gpus: 2, slots_per_gpu: 5}
microbatches: 2
time_model: {internode_gbytes_per_s: 50, intranode_gbytes_per_s: 450, expert_ns_per_token: 900}
)",
          "a: &x [1, *x]\n? {b: c}\n"};
}

}  // namespace advisor::fuzz
