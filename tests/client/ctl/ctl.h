#ifndef ADVISOR_TESTS_CLIENT_CTL_CTL_H_
#define ADVISOR_TESTS_CLIENT_CTL_CTL_H_

#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/rng.h"
#include "core/io/trace.h"
#include "core/model/topology.h"
#include "tests/support/files.h"
#include "tests/support/process.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::testing {

inline ProcessResult Ctl(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), Program("advisorctl"));
  return RunProcess(arguments);
}

// A deployment of `nodes` nodes with two GPUs each for `model`.
inline std::string DeploymentYaml(const ModelSpec& model, int nodes, int slots_per_gpu) {
  return absl::StrFormat(
      "deployment: test\n"
      "model: {name: %s, moe_layers: %d, experts: %d, top_k: %d, hidden_size: %d}\n"
      "topology: {nodes: %d, gpus_per_node: 2, slots_per_gpu: %d}\n",
      model.name, model.moe_layers, model.experts, model.top_k, model.hidden_size, nodes,
      slots_per_gpu);
}

// Writes a random trace with three domains and returns its path.
inline std::string WriteRandomTrace(const TemporaryFolder& folder, const std::string& name,
                                    const ModelSpec& model, int requests, uint64_t seed) {
  Rng rng(seed);
  const absl::Status status =
      WriteTrace(folder.Path(name), RandomTraffic(model, requests, 3, &rng));
  EXPECT_TRUE(status.ok()) << status;
  return folder.Path(name);
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_CLIENT_CTL_CTL_H_
