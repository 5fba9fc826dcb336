#include "proto/convert/model.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "proto/convert/limits.h"

namespace advisor {
namespace {

// Values above what core counts in are cut to its largest, which Validate() then refuses.
int ToInt(uint32_t value) {
  return static_cast<int>(std::min<uint32_t>(value, std::numeric_limits<int>::max()));
}

v1::MeanWorst MeanWorstToProto(const MeanWorst& value) {
  v1::MeanWorst out;
  out.set_mean(value.mean);
  out.set_worst(value.worst);
  return out;
}

}  // namespace

v1::Model ToProto(const ModelSpec& model) {
  v1::Model out;
  out.set_name(model.name);
  out.set_moe_layers(model.moe_layers);
  out.set_hidden_layers(model.hidden_layers);
  out.set_first_moe_layer(model.first_moe_layer);
  for (const int index : model.moe_layer_indices) {
    out.add_moe_layer_indices(index);
  }
  out.set_experts(model.experts);
  out.set_top_k(model.top_k);
  out.set_expert_groups(model.expert_groups);
  out.set_groups_per_token(model.groups_per_token);
  out.set_hidden_size(model.hidden_size);
  out.set_dispatch_bytes_per_value(model.dispatch_bytes_per_value);
  out.set_combine_bytes_per_value(model.combine_bytes_per_value);
  out.set_expert_bytes(model.expert_bytes);
  return out;
}

absl::StatusOr<ModelSpec> FromProto(const v1::Model& model) {
  ModelSpec out;
  out.name = model.name();
  out.moe_layers = ToInt(model.moe_layers());
  out.hidden_layers = ToInt(model.hidden_layers());
  out.first_moe_layer = ToInt(model.first_moe_layer());
  for (const uint32_t index : model.moe_layer_indices()) {
    out.moe_layer_indices.push_back(ToInt(index));
  }
  out.experts = ToInt(model.experts());
  out.top_k = ToInt(model.top_k());
  out.expert_groups = ToInt(model.expert_groups());
  out.groups_per_token = ToInt(model.groups_per_token());
  out.hidden_size = ToInt(model.hidden_size());
  out.dispatch_bytes_per_value = model.dispatch_bytes_per_value();
  out.combine_bytes_per_value = model.combine_bytes_per_value();
  out.expert_bytes = static_cast<int64_t>(
      std::min<uint64_t>(model.expert_bytes(), std::numeric_limits<int64_t>::max()));
  RETURN_IF_ERROR(Validate(out));
  return out;
}

v1::Topology ToProto(const Topology& topology) {
  v1::Topology out;
  for (const NodeSpec& node : topology.nodes()) {
    v1::Node* added = out.add_nodes();
    added->set_name(node.name);
    added->set_gpus(node.gpus);
    added->set_slots_per_gpu(node.slots_per_gpu);
    added->set_rack(node.rack);
  }
  return out;
}

absl::StatusOr<Topology> FromProto(const v1::Topology& topology) {
  std::vector<NodeSpec> nodes;
  for (const v1::Node& node : topology.nodes()) {
    nodes.push_back({node.name(), ToInt(node.gpus()), ToInt(node.slots_per_gpu()), node.rack()});
  }
  return Topology::Create(std::move(nodes));
}

v1::Position ToProto(Position position) {
  v1::Position out;
  out.set_epoch(position.epoch);
  out.set_revision(position.revision);
  return out;
}

Position FromProto(const v1::Position& position) { return {position.epoch(), position.revision()}; }

v1::Figures ToProto(const Figures& figures) {
  v1::Figures out;
  out.set_tokens(figures.tokens);
  if (figures.remote_visits_per_token_layer) {
    out.set_remote_visits_per_token_layer(*figures.remote_visits_per_token_layer);
  }
  if (figures.internode_bytes_per_token) {
    out.set_internode_bytes_per_token(*figures.internode_bytes_per_token);
  }
  out.set_remote_activation_ratio(figures.remote_activation_ratio);
  *out.mutable_node_load() = MeanWorstToProto(figures.node_load);
  *out.mutable_gpu_load() = MeanWorstToProto(figures.gpu_load);
  if (figures.max_pair_message) {
    out.set_max_pair_message(*figures.max_pair_message);
  }
  out.set_home_token_max_over_mean(figures.home_token_max_over_mean);
  if (figures.saving_ratio) {
    out.set_saving_ratio(*figures.saving_ratio);
  }
  if (figures.remote_activation_saving_ratio) {
    out.set_remote_activation_saving_ratio(*figures.remote_activation_saving_ratio);
  }
  if (figures.distinct_experts_per_microbatch) {
    out.set_distinct_experts_per_microbatch(*figures.distinct_experts_per_microbatch);
  }
  if (figures.modelled_moe_ms_per_step) {
    out.set_modelled_moe_ms_per_step(*figures.modelled_moe_ms_per_step);
  }
  if (figures.modelled_gpu_utilisation) {
    out.set_modelled_gpu_utilisation(*figures.modelled_gpu_utilisation);
  }
  if (figures.modelled_baseline_moe_ms_per_step) {
    out.set_modelled_baseline_moe_ms_per_step(*figures.modelled_baseline_moe_ms_per_step);
  }
  if (figures.modelled_baseline_gpu_utilisation) {
    out.set_modelled_baseline_gpu_utilisation(*figures.modelled_baseline_gpu_utilisation);
  }
  return out;
}

Figures FromProto(const v1::Figures& figures) {
  Figures out;
  out.tokens = static_cast<int64_t>(
      std::min<uint64_t>(figures.tokens(), std::numeric_limits<int64_t>::max()));
  if (figures.has_remote_visits_per_token_layer()) {
    out.remote_visits_per_token_layer = figures.remote_visits_per_token_layer();
  }
  if (figures.has_internode_bytes_per_token()) {
    out.internode_bytes_per_token = figures.internode_bytes_per_token();
  }
  out.remote_activation_ratio = figures.remote_activation_ratio();
  out.node_load = {figures.node_load().mean(), figures.node_load().worst()};
  out.gpu_load = {figures.gpu_load().mean(), figures.gpu_load().worst()};
  if (figures.has_max_pair_message()) {
    out.max_pair_message = figures.max_pair_message();
  }
  out.home_token_max_over_mean = figures.home_token_max_over_mean();
  if (figures.has_saving_ratio()) {
    out.saving_ratio = figures.saving_ratio();
  }
  if (figures.has_remote_activation_saving_ratio()) {
    out.remote_activation_saving_ratio = figures.remote_activation_saving_ratio();
  }
  if (figures.has_distinct_experts_per_microbatch()) {
    out.distinct_experts_per_microbatch = figures.distinct_experts_per_microbatch();
  }
  if (figures.has_modelled_moe_ms_per_step()) {
    out.modelled_moe_ms_per_step = figures.modelled_moe_ms_per_step();
  }
  if (figures.has_modelled_gpu_utilisation()) {
    out.modelled_gpu_utilisation = figures.modelled_gpu_utilisation();
  }
  if (figures.has_modelled_baseline_moe_ms_per_step()) {
    out.modelled_baseline_moe_ms_per_step = figures.modelled_baseline_moe_ms_per_step();
  }
  if (figures.has_modelled_baseline_gpu_utilisation()) {
    out.modelled_baseline_gpu_utilisation = figures.modelled_baseline_gpu_utilisation();
  }
  return out;
}

v1::Phase ToProto(Phase phase) {
  return phase == Phase::kPrefill ? v1::PHASE_PREFILL : v1::PHASE_DECODE;
}

absl::StatusOr<Phase> FromProto(v1::Phase phase) {
  if (phase == v1::PHASE_PREFILL) {
    return Phase::kPrefill;
  }
  if (phase == v1::PHASE_DECODE) {
    return Phase::kDecode;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("phase is %d, must be PHASE_PREFILL or PHASE_DECODE", phase));
}

v1::Mode ToProto(Mode mode) { return mode == Mode::kActive ? v1::MODE_ACTIVE : v1::MODE_ADVISORY; }

absl::StatusOr<Mode> FromProto(v1::Mode mode) {
  if (mode == v1::MODE_ACTIVE) {
    return Mode::kActive;
  }
  if (mode == v1::MODE_ADVISORY) {
    return Mode::kAdvisory;
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("mode is %d, must be MODE_ADVISORY or MODE_ACTIVE", mode));
}

absl::Status ValidateId(const char* field, const std::string& id) {
  const bool characters = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  });
  if (id.empty() || id.size() > kMaxIdBytes || !characters) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has %d bytes%s, must be 1 to %d bytes of [a-z0-9._-]", field, id.size(),
                        characters ? "" : " with other characters", kMaxIdBytes));
  }
  return absl::OkStatus();
}

}  // namespace advisor
