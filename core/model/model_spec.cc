#include "core/model/model_spec.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "core/base/fingerprint.h"
#include "core/base/status_macros.h"

namespace advisor {
namespace {

absl::Status CheckRange(const char* key, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    return absl::InvalidArgumentError(
        absl::StrFormat("model.%s is %d, must be %d .. %d", key, value, low, high));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ModelSpec& m) {
  RETURN_IF_ERROR(CheckRange("moe_layers", m.moe_layers, 1, kMaxMoeLayers));
  RETURN_IF_ERROR(CheckRange("experts", m.experts, 1, kMaxExperts));
  RETURN_IF_ERROR(CheckRange("top_k", m.top_k, 1, std::min(m.experts, kMaxTopK)));
  RETURN_IF_ERROR(CheckRange("hidden_size", m.hidden_size, 0, 1 << 20));
  RETURN_IF_ERROR(CheckRange("hidden_layers", m.hidden_layers, 0, 4096));
  RETURN_IF_ERROR(CheckRange("first_moe_layer", m.first_moe_layer, 0, 4096));
  RETURN_IF_ERROR(CheckRange("expert_bytes", m.expert_bytes, 0, int64_t{1} << 50));
  RETURN_IF_ERROR(CheckRange("expert_groups", m.expert_groups, 0, m.experts));
  RETURN_IF_ERROR(CheckRange("groups_per_token", m.groups_per_token, 0, m.expert_groups));
  if (m.expert_groups > 0 && m.experts % m.expert_groups != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("model.expert_groups is %d, must divide model.experts, which is %d",
                        m.expert_groups, m.experts));
  }
  if (m.groups_per_token > 0 && m.top_k > m.groups_per_token * (m.experts / m.expert_groups)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "model.groups_per_token is %d: %d groups of %d experts cannot hold top_k %d",
        m.groups_per_token, m.groups_per_token, m.experts / m.expert_groups, m.top_k));
  }
  for (double bytes : {m.dispatch_bytes_per_value, m.combine_bytes_per_value}) {
    if (!std::isfinite(bytes) || bytes < 0 || bytes > 16) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "model.dispatch_bytes_per_value or combine_bytes_per_value is %g, must be 0 .. 16",
          bytes));
    }
  }
  if (!m.moe_layer_indices.empty()) {
    if (m.moe_layer_indices.size() != static_cast<size_t>(m.moe_layers)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("model.moe_layer_indices has %d entries, moe_layers is %d",
                          m.moe_layer_indices.size(), m.moe_layers));
    }
    for (size_t i = 0; i < m.moe_layer_indices.size(); ++i) {
      const int previous = i == 0 ? -1 : m.moe_layer_indices[i - 1];
      if (m.moe_layer_indices[i] <= previous) {
        return absl::InvalidArgumentError(
            absl::StrFormat("model.moe_layer_indices[%d] is %d, must be greater than %d", i,
                            m.moe_layer_indices[i], previous));
      }
    }
  }
  const int last = m.HiddenLayer(m.moe_layers - 1);
  if (m.hidden_layers > 0 && last >= m.hidden_layers) {
    return absl::InvalidArgumentError(
        absl::StrFormat("MoE layer %d sits at hidden layer %d, model.hidden_layers is only %d",
                        m.moe_layers - 1, last, m.hidden_layers));
  }
  return absl::OkStatus();
}

uint64_t ModelFingerprint(const ModelSpec& m) {
  return Fingerprint()
      .Add(m.name)
      .Add(m.moe_layers)
      .Add(m.experts)
      .Add(m.top_k)
      .Add(m.expert_groups)
      .Add(m.groups_per_token)
      .Add(static_cast<uint64_t>(m.expert_bytes))
      .value();
}

}  // namespace advisor
