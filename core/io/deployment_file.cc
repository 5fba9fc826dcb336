#include "core/io/deployment_file.h"

#include <limits>
#include <utility>
#include <vector>

#include "core/base/status_macros.h"
#include "core/io/model_fields.h"
#include "core/io/strict_yaml.h"

namespace advisor {
namespace {

// Short form: {nodes: 4, gpus_per_node: 8, slots_per_gpu: 9}. Long form: nodes is a list.
absl::StatusOr<Topology> ReadTopology(StrictMap& map) {
  if (map.IsScalar("nodes")) {
    int nodes = 0, gpus = 0, slots = 0;
    map.ReadInt("nodes", 1, kMaxNodes, &nodes, true);
    map.ReadInt("gpus_per_node", 1, kMaxGpus, &gpus, true);
    map.ReadInt("slots_per_gpu", 1, kMaxSlotsPerGpu, &slots, true);
    RETURN_IF_ERROR(map.status());
    return Topology::Uniform(nodes, gpus, slots);
  }
  std::vector<NodeSpec> nodes;
  for (StrictMap& item : map.ReadMapList("nodes", true)) {
    NodeSpec node;
    item.ReadString("name", &node.name, true);
    item.ReadInt("gpus", 1, kMaxGpus, &node.gpus, true);
    item.ReadInt("slots_per_gpu", 1, kMaxSlotsPerGpu, &node.slots_per_gpu, true);
    item.ReadString("rack", &node.rack);
    nodes.push_back(std::move(node));
  }
  RETURN_IF_ERROR(map.status());
  return Topology::Create(std::move(nodes));
}

TimeModel ReadTimeModel(StrictMap map) {
  constexpr double kSmallest = 1e-6, kLargest = 1e9;
  TimeModel time;
  map.ReadDouble("internode_gbytes_per_s", kSmallest, kLargest, &time.internode_gbytes_per_s, true);
  map.ReadDouble("intranode_gbytes_per_s", kSmallest, kLargest, &time.intranode_gbytes_per_s, true);
  map.ReadDouble("expert_ns_per_token", kSmallest, kLargest, &time.expert_ns_per_token, true);
  return time;
}

absl::StatusOr<Deployment> ReadFields(StrictMap root) {
  Deployment d;
  root.ReadString("deployment", &d.name, true);
  int mode = 0;
  root.ReadEnum("mode", {"advisory", "active"}, &mode);
  d.mode = mode == 1 ? Mode::kActive : Mode::kAdvisory;
  constexpr PhaseFilter kPhaseFilters[] = {PhaseFilter::kAll, PhaseFilter::kPrefill,
                                           PhaseFilter::kDecode};
  int phase = 0;
  root.ReadEnum("phase", {"all", "prefill", "decode"}, &phase);
  d.phase = kPhaseFilters[phase];
  StrictMap model = root.ReadMap("model", true);
  ReadModelFields(model, &d.model);
  StrictMap topology_map = root.ReadMap("topology", true);
  absl::StatusOr<Topology> topology = ReadTopology(topology_map);
  root.ReadInt("microbatches", 1, 16, &d.microbatches);
  if (root.Has("time_model")) {
    d.time_model = ReadTimeModel(root.ReadMap("time_model"));
  }
  // An unknown key comes before what is wrong about several keys together: it may be the cause.
  RETURN_IF_ERROR(root.Finish());
  root.Check("model", Validate(d.model));
  root.Check("topology", topology.status());
  RETURN_IF_ERROR(root.status());
  d.topology = *std::move(topology);
  root.Check("topology", ValidateCapacity(d.model, d.topology));
  root.Check("deployment", Validate(d));
  RETURN_IF_ERROR(root.status());
  return d;
}

}  // namespace

absl::StatusOr<Deployment> ReadDeployment(const std::string& path) {
  ASSIGN_OR_RETURN(StrictMap root, StrictMap::ParseFile(path));
  return ReadFields(std::move(root));
}

absl::StatusOr<Deployment> ParseDeployment(const std::string& yaml, const std::string& name) {
  ASSIGN_OR_RETURN(StrictMap root, StrictMap::ParseText(yaml, name));
  return ReadFields(std::move(root));
}

}  // namespace advisor
