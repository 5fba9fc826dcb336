#ifndef ADVISOR_CORE_IO_MODEL_FIELDS_H_
#define ADVISOR_CORE_IO_MODEL_FIELDS_H_

#include <cstdint>

#include "core/model/model_spec.h"
#include "nlohmann/json.hpp"

namespace advisor {

// The keys of `model` in deployment files, trace headers and plan files. `Fields` is StrictMap or
// JsonObject. What spans several keys is left to Validate(model).
template <typename Fields>
void ReadModelFields(Fields& fields, ModelSpec* model) {
  fields.ReadString("name", &model->name);
  fields.ReadInt("moe_layers", 1, kMaxMoeLayers, &model->moe_layers, true);
  fields.ReadInt("hidden_layers", 0, 4096, &model->hidden_layers);
  fields.ReadInt("first_moe_layer", 0, 4096, &model->first_moe_layer);
  fields.ReadIntList("moe_layer_indices", 0, 4096, &model->moe_layer_indices);
  fields.ReadInt("experts", 1, kMaxExperts, &model->experts, true);
  fields.ReadInt("top_k", 1, kMaxTopK, &model->top_k, true);
  fields.ReadInt("expert_groups", 0, kMaxExperts, &model->expert_groups);
  fields.ReadInt("groups_per_token", 0, kMaxExperts, &model->groups_per_token);
  fields.ReadInt("hidden_size", 0, 1 << 20, &model->hidden_size);
  fields.ReadDouble("dispatch_bytes_per_value", 0, 16, &model->dispatch_bytes_per_value);
  fields.ReadDouble("combine_bytes_per_value", 0, 16, &model->combine_bytes_per_value);
  fields.ReadInt("expert_bytes", 0, int64_t{1} << 50, &model->expert_bytes);
}

// The same keys; what is not stated is left out.
nlohmann::ordered_json ModelToJson(const ModelSpec& model);

}  // namespace advisor

#endif  // ADVISOR_CORE_IO_MODEL_FIELDS_H_
