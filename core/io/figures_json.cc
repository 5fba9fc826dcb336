#include "core/io/figures_json.h"

#include <limits>
#include <optional>

namespace advisor {
namespace {

constexpr double kLargest = std::numeric_limits<double>::max();

void ReadOptional(JsonObject& object, const char* key, std::optional<double>* out) {
  if (object.Has(key)) {
    out->emplace();
    object.ReadDouble(key, -kLargest, kLargest, &**out);
  }
}

void AddOptional(nlohmann::ordered_json& out, const char* key, const std::optional<double>& value) {
  if (value.has_value()) {
    out[key] = *value;
  }
}

MeanWorst ReadMeanWorst(JsonObject& object, const char* key) {
  JsonObject nested = object.ReadObject(key);
  MeanWorst value;
  nested.ReadDouble("mean", 0, kLargest, &value.mean);
  nested.ReadDouble("worst", 0, kLargest, &value.worst);
  object.Merge(nested.status());
  return value;
}

std::optional<Figures> ReadOptionalFigures(JsonObject& object, const char* key) {
  if (!object.Has(key)) {
    return std::nullopt;
  }
  JsonObject nested = object.ReadObject(key);
  const Figures figures = ReadFigures(nested);
  object.Merge(nested.status());
  return figures;
}

}  // namespace

nlohmann::ordered_json FiguresObject(const Figures& f) {
  nlohmann::ordered_json out;
  out["tokens"] = f.tokens;
  AddOptional(out, "remote_visits_per_token_layer", f.remote_visits_per_token_layer);
  AddOptional(out, "internode_bytes_per_token", f.internode_bytes_per_token);
  out["remote_activation_ratio"] = f.remote_activation_ratio;
  out["node_load"] = {{"mean", f.node_load.mean}, {"worst", f.node_load.worst}};
  out["gpu_load"] = {{"mean", f.gpu_load.mean}, {"worst", f.gpu_load.worst}};
  AddOptional(out, "max_pair_message", f.max_pair_message);
  out["home_token_max_over_mean"] = f.home_token_max_over_mean;
  AddOptional(out, "saving_ratio", f.saving_ratio);
  AddOptional(out, "remote_activation_saving_ratio", f.remote_activation_saving_ratio);
  AddOptional(out, "distinct_experts_per_microbatch", f.distinct_experts_per_microbatch);
  AddOptional(out, "modelled_moe_ms_per_step", f.modelled_moe_ms_per_step);
  AddOptional(out, "modelled_gpu_utilisation", f.modelled_gpu_utilisation);
  AddOptional(out, "modelled_baseline_moe_ms_per_step", f.modelled_baseline_moe_ms_per_step);
  AddOptional(out, "modelled_baseline_gpu_utilisation", f.modelled_baseline_gpu_utilisation);
  return out;
}

Figures ReadFigures(JsonObject& object) {
  Figures f;
  object.ReadInt("tokens", 0, std::numeric_limits<int64_t>::max(), &f.tokens);
  ReadOptional(object, "remote_visits_per_token_layer", &f.remote_visits_per_token_layer);
  ReadOptional(object, "internode_bytes_per_token", &f.internode_bytes_per_token);
  object.ReadDouble("remote_activation_ratio", 0, 1, &f.remote_activation_ratio);
  f.node_load = ReadMeanWorst(object, "node_load");
  f.gpu_load = ReadMeanWorst(object, "gpu_load");
  ReadOptional(object, "max_pair_message", &f.max_pair_message);
  object.ReadDouble("home_token_max_over_mean", 0, kLargest, &f.home_token_max_over_mean);
  ReadOptional(object, "saving_ratio", &f.saving_ratio);
  ReadOptional(object, "remote_activation_saving_ratio", &f.remote_activation_saving_ratio);
  ReadOptional(object, "distinct_experts_per_microbatch", &f.distinct_experts_per_microbatch);
  ReadOptional(object, "modelled_moe_ms_per_step", &f.modelled_moe_ms_per_step);
  ReadOptional(object, "modelled_gpu_utilisation", &f.modelled_gpu_utilisation);
  ReadOptional(object, "modelled_baseline_moe_ms_per_step", &f.modelled_baseline_moe_ms_per_step);
  ReadOptional(object, "modelled_baseline_gpu_utilisation", &f.modelled_baseline_gpu_utilisation);
  return f;
}

nlohmann::ordered_json PredictedObject(const Predicted& p) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  if (p.figures != Figures{}) {
    out = FiguresObject(p.figures);
  }
  for (const auto& [key, figures] : {std::pair{"prefill", &p.prefill},
                                     std::pair{"decode", &p.decode}, std::pair{"fit", &p.fit}}) {
    if (figures->has_value()) {
      out[key] = FiguresObject(**figures);
    }
  }
  out["layers_over_cap"] = p.layers_over_cap;
  return out;
}

Predicted ReadPredicted(JsonObject& object) {
  Predicted p;
  p.figures = ReadFigures(object);
  p.prefill = ReadOptionalFigures(object, "prefill");
  p.decode = ReadOptionalFigures(object, "decode");
  p.fit = ReadOptionalFigures(object, "fit");
  object.ReadIntList("layers_over_cap", 0, kMaxMoeLayers - 1, &p.layers_over_cap);
  return p;
}

nlohmann::ordered_json BoundsObject(const Bounds& b) {
  nlohmann::ordered_json out = nlohmann::ordered_json::object();
  AddOptional(out, "remote_visits_per_token_layer", b.remote_visits_per_token_layer);
  AddOptional(out, "internode_bytes_per_token", b.internode_bytes_per_token);
  AddOptional(out, "remote_activation_ratio", b.remote_activation_ratio);
  if (b.node_load_mean.has_value()) {
    out["node_load"] = {{"mean", *b.node_load_mean}};
  }
  if (b.gpu_load_mean.has_value()) {
    out["gpu_load"] = {{"mean", *b.gpu_load_mean}};
  }
  AddOptional(out, "modelled_moe_ms_per_step", b.modelled_moe_ms_per_step);
  AddOptional(out, "gap_ratio", b.gap_ratio);
  return out;
}

Bounds ReadBounds(JsonObject& object) {
  Bounds b;
  ReadOptional(object, "remote_visits_per_token_layer", &b.remote_visits_per_token_layer);
  ReadOptional(object, "internode_bytes_per_token", &b.internode_bytes_per_token);
  ReadOptional(object, "remote_activation_ratio", &b.remote_activation_ratio);
  if (object.Has("node_load")) {
    b.node_load_mean = ReadMeanWorst(object, "node_load").mean;
  }
  if (object.Has("gpu_load")) {
    b.gpu_load_mean = ReadMeanWorst(object, "gpu_load").mean;
  }
  ReadOptional(object, "modelled_moe_ms_per_step", &b.modelled_moe_ms_per_step);
  ReadOptional(object, "gap_ratio", &b.gap_ratio);
  return b;
}

}  // namespace advisor
