#ifndef ADVISOR_CORE_MODEL_TOPOLOGY_H_
#define ADVISOR_CORE_MODEL_TOPOLOGY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/ids.h"

namespace advisor {

// One node: what the fast interconnect joins. Traffic between nodes is what costs.
struct NodeSpec {
  std::string name;
  int gpus = 0;           // >= 1
  int slots_per_gpu = 0;  // copies of experts of one layer that each GPU holds, >= 1
  std::string rack;       // optional
  friend bool operator==(const NodeSpec&, const NodeSpec&) = default;
};

inline constexpr int kMaxNodes = 64;  // holders of an expert fit one 64-bit mask
inline constexpr int kMaxGpus = 1024;
inline constexpr int kMaxSlotsPerGpu = 1024;

// The nodes of one EP group with the numbering of GPUs and slots derived from them. Immutable once
// created.
class Topology {
 public:
  Topology() = default;
  // INVALID_ARGUMENT names the node and the value: no nodes or more than kMaxNodes, a doubled or
  // empty name, no GPU, no slot.
  static absl::StatusOr<Topology> Create(std::vector<NodeSpec> nodes);
  // `nodes` equal nodes named node-0, node-1, ...
  static absl::StatusOr<Topology> Uniform(int nodes, int gpus_per_node, int slots_per_gpu);

  const std::vector<NodeSpec>& nodes() const { return nodes_; }
  int node_count() const { return static_cast<int>(nodes_.size()); }
  int gpu_count() const { return static_cast<int>(node_of_gpu_.size()); }
  int slot_count() const { return static_cast<int>(gpu_of_slot_.size()); }

  NodeId node_of(GpuId gpu) const { return NodeId(node_of_gpu_[gpu.value()]); }
  GpuId gpu_of(SlotId slot) const { return GpuId(gpu_of_slot_[slot.value()]); }
  NodeId node_of(SlotId slot) const { return node_of(gpu_of(slot)); }
  GpuId first_gpu(NodeId node) const { return GpuId(first_gpu_[node.value()]); }
  SlotId first_slot(GpuId gpu) const { return SlotId(first_slot_[gpu.value()]); }
  int gpus_on(NodeId node) const { return nodes_[node.value()].gpus; }
  int slots_on(NodeId node) const { return gpus_on(node) * nodes_[node.value()].slots_per_gpu; }
  int slots_on(GpuId gpu) const { return nodes_[node_of_gpu_[gpu.value()]].slots_per_gpu; }

  friend bool operator==(const Topology& a, const Topology& b) { return a.nodes_ == b.nodes_; }

 private:
  std::vector<NodeSpec> nodes_;
  std::vector<int> node_of_gpu_, first_gpu_, gpu_of_slot_, first_slot_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_TOPOLOGY_H_
