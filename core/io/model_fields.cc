#include "core/io/model_fields.h"

namespace advisor {

nlohmann::ordered_json ModelToJson(const ModelSpec& m) {
  nlohmann::ordered_json out;
  const auto add_unless_zero = [&out](const char* key, int64_t value) {
    if (value != 0) {
      out[key] = value;
    }
  };
  out["name"] = m.name;
  out["moe_layers"] = m.moe_layers;
  add_unless_zero("hidden_layers", m.hidden_layers);
  if (m.moe_layer_indices.empty()) {
    out["first_moe_layer"] = m.first_moe_layer;
  } else {
    out["moe_layer_indices"] = m.moe_layer_indices;
  }
  out["experts"] = m.experts;
  out["top_k"] = m.top_k;
  add_unless_zero("expert_groups", m.expert_groups);
  add_unless_zero("groups_per_token", m.groups_per_token);
  // Always stated: the checker needs hidden_size.
  out["hidden_size"] = m.hidden_size;
  out["dispatch_bytes_per_value"] = m.dispatch_bytes_per_value;
  out["combine_bytes_per_value"] = m.combine_bytes_per_value;
  add_unless_zero("expert_bytes", m.expert_bytes);
  return out;
}

}  // namespace advisor
