#include "core/io/deployment_file.h"

#include <yaml-cpp/yaml.h>

#include <limits>
#include <string>
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
  map.ReadInt("tokens_per_gpu", 1, kMaxTokensPerGpu, &time.tokens_per_gpu);
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
  root.ReadInt("microbatches", 1, kMaxMicrobatches, &d.microbatches);
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

void EmitModel(YAML::Emitter& out, const ModelSpec& m) {
  out << YAML::BeginMap << YAML::Key << "name" << YAML::Value << m.name;
  const ModelSpec unset;
  const auto emit = [&out](const char* key, const auto& value, const auto& absent) {
    if (value != absent) {
      out << YAML::Key << key << YAML::Value << value;
    }
  };
  emit("moe_layers", m.moe_layers, unset.moe_layers);
  emit("hidden_layers", m.hidden_layers, unset.hidden_layers);
  emit("first_moe_layer", m.first_moe_layer, unset.first_moe_layer);
  if (!m.moe_layer_indices.empty()) {
    out << YAML::Key << "moe_layer_indices" << YAML::Value << YAML::Flow << m.moe_layer_indices;
  }
  emit("experts", m.experts, unset.experts);
  emit("top_k", m.top_k, unset.top_k);
  emit("expert_groups", m.expert_groups, unset.expert_groups);
  emit("groups_per_token", m.groups_per_token, unset.groups_per_token);
  emit("hidden_size", m.hidden_size, unset.hidden_size);
  emit("dispatch_bytes_per_value", m.dispatch_bytes_per_value, unset.dispatch_bytes_per_value);
  emit("combine_bytes_per_value", m.combine_bytes_per_value, unset.combine_bytes_per_value);
  emit("expert_bytes", m.expert_bytes, unset.expert_bytes);
  out << YAML::EndMap;
}

void EmitTopology(YAML::Emitter& out, const Topology& topology) {
  out << YAML::BeginMap << YAML::Key << "nodes" << YAML::Value << YAML::BeginSeq;
  for (const NodeSpec& node : topology.nodes()) {
    out << YAML::Flow << YAML::BeginMap << YAML::Key << "name" << YAML::Value << node.name
        << YAML::Key << "gpus" << YAML::Value << node.gpus << YAML::Key << "slots_per_gpu"
        << YAML::Value << node.slots_per_gpu;
    if (!node.rack.empty()) {
      out << YAML::Key << "rack" << YAML::Value << node.rack;
    }
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
}

}  // namespace

std::string DeploymentToYaml(const Deployment& d) {
  YAML::Emitter out;
  out.SetDoublePrecision(std::numeric_limits<double>::max_digits10);
  out << YAML::BeginMap;
  out << YAML::Key << "deployment" << YAML::Value << d.name;
  out << YAML::Key << "mode" << YAML::Value << ToString(d.mode);
  out << YAML::Key << "phase" << YAML::Value << ToString(d.phase);
  out << YAML::Key << "model" << YAML::Value;
  EmitModel(out, d.model);
  out << YAML::Key << "topology" << YAML::Value;
  EmitTopology(out, d.topology);
  if (d.microbatches != 1) {
    out << YAML::Key << "microbatches" << YAML::Value << d.microbatches;
  }
  if (d.time_model.has_value()) {
    out << YAML::Key << "time_model" << YAML::Value << YAML::BeginMap;
    out << YAML::Key << "internode_gbytes_per_s" << YAML::Value
        << d.time_model->internode_gbytes_per_s;
    out << YAML::Key << "intranode_gbytes_per_s" << YAML::Value
        << d.time_model->intranode_gbytes_per_s;
    out << YAML::Key << "expert_ns_per_token" << YAML::Value << d.time_model->expert_ns_per_token;
    out << YAML::Key << "tokens_per_gpu" << YAML::Value << d.time_model->tokens_per_gpu;
    out << YAML::EndMap;
  }
  out << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

absl::StatusOr<Deployment> ReadDeployment(const std::string& path) {
  ASSIGN_OR_RETURN(StrictMap root, StrictMap::ParseFile(path));
  return ReadFields(std::move(root));
}

absl::StatusOr<Deployment> ParseDeployment(const std::string& yaml, const std::string& name) {
  ASSIGN_OR_RETURN(StrictMap root, StrictMap::ParseText(yaml, name));
  return ReadFields(std::move(root));
}

}  // namespace advisor
