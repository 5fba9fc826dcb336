#include "core/model/topology.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace advisor {

absl::StatusOr<Topology> Topology::Create(std::vector<NodeSpec> nodes) {
  if (nodes.empty() || nodes.size() > kMaxNodes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("topology.nodes has %d nodes, must be 1 .. %d", nodes.size(), kMaxNodes));
  }
  Topology topology;
  absl::flat_hash_set<std::string> names;
  for (size_t n = 0; n < nodes.size(); ++n) {
    const NodeSpec& node = nodes[n];
    if (node.name.empty() || !names.insert(node.name).second) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "topology.nodes[%d].name is \"%s\", must be set and used once", n, node.name));
    }
    if (node.gpus < 1 || node.slots_per_gpu < 1 || node.slots_per_gpu > kMaxSlotsPerGpu ||
        topology.gpu_count() + node.gpus > kMaxGpus) {
      return absl::InvalidArgumentError(
          absl::StrFormat("topology node \"%s\" has gpus %d and slots_per_gpu %d, must be at least "
                          "1 each, at most %d GPUs in all "
                          "and %d slots a GPU",
                          node.name, node.gpus, node.slots_per_gpu, kMaxGpus, kMaxSlotsPerGpu));
    }
    topology.first_gpu_.push_back(topology.gpu_count());
    for (int g = 0; g < node.gpus; ++g) {
      topology.first_slot_.push_back(topology.slot_count());
      for (int s = 0; s < node.slots_per_gpu; ++s) {
        topology.gpu_of_slot_.push_back(topology.gpu_count());
      }
      topology.node_of_gpu_.push_back(static_cast<int>(n));
    }
  }
  topology.nodes_ = std::move(nodes);
  return topology;
}

absl::StatusOr<Topology> Topology::Uniform(int nodes, int gpus_per_node, int slots_per_gpu) {
  if (nodes < 1 || nodes > kMaxNodes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("topology.nodes is %d, must be 1 .. %d", nodes, kMaxNodes));
  }
  std::vector<NodeSpec> list;
  for (int n = 0; n < nodes; ++n) {
    list.push_back({absl::StrCat("node-", n), gpus_per_node, slots_per_gpu, ""});
  }
  return Create(std::move(list));
}

}  // namespace advisor
