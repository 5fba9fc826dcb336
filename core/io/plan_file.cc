#include "core/io/plan_file.h"

#include <limits>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/io/base64_array.h"
#include "core/io/figures_json.h"
#include "core/io/json_object.h"
#include "core/io/line_reader.h"
#include "core/io/model_fields.h"

namespace advisor {
namespace {

constexpr char kFormat[] = "moe-placement-plan";
constexpr int kVersion = 1;

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// ---- Writing

OrderedJson TopologyObject(const Topology& topology) {
  OrderedJson nodes = OrderedJson::array();
  for (const NodeSpec& node : topology.nodes()) {
    OrderedJson item = {
        {"name", node.name}, {"gpus", node.gpus}, {"slots_per_gpu", node.slots_per_gpu}};
    if (!node.rack.empty()) {
      item["rack"] = node.rack;
    }
    nodes.push_back(std::move(item));
  }
  return {{"nodes", std::move(nodes)}};
}

OrderedJson RowArray(absl::Span<const int16_t> row) {
  return std::vector<int>(row.begin(), row.end());
}

OrderedJson PlacementArray(const Placement& placement) {
  OrderedJson layers = OrderedJson::array();
  for (int l = 0; l < placement.layers(); ++l) {
    layers.push_back(RowArray(placement.row(LayerId(l))));
  }
  return layers;
}

OrderedJson RemoteChoiceArray(const RemoteChoice& choice, int layer_count, int node_count) {
  OrderedJson layers = OrderedJson::array();
  for (int l = 0; l < layer_count; ++l) {
    OrderedJson homes = OrderedJson::array();
    for (int h = 0; h < node_count; ++h) {
      homes.push_back(RowArray(choice.row(LayerId(l), NodeId(h))));
    }
    layers.push_back(std::move(homes));
  }
  return layers;
}

// The tables are base64 of little-endian float32, row-major: bias [nodes], node_share [nodes],
// domain_cost [domains, nodes], affinity [layers, experts, nodes]. As decimal text they would be
// the larger part of the file.
OrderedJson GroupingObject(const Grouping& g) {
  return {{"revision", g.revision},
          {"layers", g.layers},
          {"experts", g.experts},
          {"nodes", g.nodes},
          {"domains", g.domains},
          {"bias", EncodeFloats(g.bias)},
          {"node_share", EncodeFloats(g.node_share)},
          {"domain_cost", EncodeFloats(g.domain_cost)},
          {"affinity", EncodeFloats(g.affinity)},
          {"decode_per_prompt_token", g.decode_per_prompt_token},
          {"mean_decode_tokens", g.mean_decode_tokens},
          {"load_slack", g.load_slack},
          {"load_slack_requests", g.load_slack_requests},
          {"load_price", g.load_price},
          {"microbatches", g.microbatches}};
}

OrderedJson MovesArray(const std::vector<Move>& moves) {
  OrderedJson array = OrderedJson::array();
  for (const Move& move : moves) {
    array.push_back({{"layer", move.layer},
                     {"slot", move.slot},
                     {"expert", move.expert},
                     {"from_slot", move.from_slot},
                     {"bytes", move.bytes}});
  }
  return array;
}

// ---- Reading

absl::StatusOr<Topology> ReadTopology(JsonObject& root) {
  JsonObject object = root.ReadObject("topology", true);
  const Json* list = object.Read("nodes", true);
  RETURN_IF_ERROR(object.status());
  if (!list->is_array()) {
    object.Fail("nodes", absl::StrCat("is ", Shown(*list), ", must be a list"));
    return object.status();
  }
  std::vector<NodeSpec> nodes;
  for (size_t i = 0; i < list->size() && i <= kMaxNodes; ++i) {
    JsonObject item = root.Item("topology.nodes", (*list)[i], i);
    NodeSpec node;
    item.ReadString("name", &node.name, true);
    item.ReadInt("gpus", 1, kMaxGpus, &node.gpus, true);
    item.ReadInt("slots_per_gpu", 1, kMaxSlotsPerGpu, &node.slots_per_gpu, true);
    item.ReadString("rack", &node.rack);
    RETURN_IF_ERROR(item.status());
    nodes.push_back(std::move(node));
  }
  return Topology::Create(std::move(nodes));
}

// A list of exactly `want` integers of [-1, high] into `out`.
absl::Status ReadRow(const std::string& where, const Json& row, int high, absl::Span<int16_t> out) {
  if (!row.is_array() || row.size() != out.size()) {
    return absl::InvalidArgumentError(absl::StrFormat("%s has %d values, must be a list of %d",
                                                      where, row.is_array() ? row.size() : 0,
                                                      out.size()));
  }
  for (size_t i = 0; i < out.size(); ++i) {
    const Json& value = row[i];
    const bool good = value.is_number_integer() && value >= -1 && value <= high;
    if (!good) {
      return absl::InvalidArgumentError(absl::StrFormat("%s[%d] is %s, must be an integer -1 .. %d",
                                                        where, i, Shown(value), high));
    }
    out[i] = value.get<int16_t>();
  }
  return absl::OkStatus();
}

absl::Status CheckList(const std::string& where, const Json& list, int want, const char* meaning) {
  if (!list.is_array() || list.size() != static_cast<size_t>(want)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has %d entries, must be a list of %d (%s)", where,
                        list.is_array() ? list.size() : 0, want, meaning));
  }
  return absl::OkStatus();
}

absl::Status ReadPlacement(const Json& list, Plan* plan) {
  const int layers = plan->model.moe_layers;
  RETURN_IF_ERROR(CheckList("placement", list, layers, "MoE layers"));
  plan->placement = Placement(layers, plan->topology.slot_count());
  for (int l = 0; l < layers; ++l) {
    RETURN_IF_ERROR(ReadRow(absl::StrFormat("placement[%d]", l), list[l], plan->model.experts - 1,
                            plan->placement.row(LayerId(l))));
  }
  return absl::OkStatus();
}

absl::Status ReadRemoteChoice(const Json& list, Plan* plan) {
  const int layers = plan->model.moe_layers, nodes = plan->topology.node_count();
  RETURN_IF_ERROR(CheckList("remote_choice", list, layers, "MoE layers"));
  plan->remote_choice = RemoteChoice(layers, nodes, plan->model.experts);
  for (int l = 0; l < layers; ++l) {
    RETURN_IF_ERROR(
        CheckList(absl::StrFormat("remote_choice[%d]", l), list[l], nodes, "home nodes"));
    for (int h = 0; h < nodes; ++h) {
      RETURN_IF_ERROR(ReadRow(absl::StrFormat("remote_choice[%d][%d]", l, h), list[l][h], nodes - 1,
                              plan->remote_choice.row(LayerId(l), NodeId(h))));
    }
  }
  return absl::OkStatus();
}

void ReadTable(JsonObject& object, const char* key, size_t want, std::vector<float>* out) {
  std::string text;
  object.ReadString(key, &text, true);
  if (object.status().ok() && !DecodeFloats(text, want, out)) {
    object.Fail(key, absl::StrFormat("must be %d base64 characters of %d float32 values, has %d",
                                     Base64Length(want * sizeof(float)), want, text.size()));
  }
}

void ReadFloat(JsonObject& object, const char* key, float* out) {
  double value = *out;
  object.ReadDouble(key, 0, std::numeric_limits<float>::max(), &value);
  *out = static_cast<float>(value);
}

absl::Status ReadGrouping(JsonObject object, Grouping* g) {
  object.ReadUint64("revision", &g->revision);
  object.ReadInt("layers", 1, kMaxMoeLayers, &g->layers, true);
  object.ReadInt("experts", 1, kMaxExperts, &g->experts, true);
  object.ReadInt("nodes", 1, kMaxNodes, &g->nodes, true);
  object.ReadStringList("domains", &g->domains);
  RETURN_IF_ERROR(object.status());
  const size_t nodes = g->nodes;
  ReadTable(object, "bias", nodes, &g->bias);
  ReadTable(object, "node_share", nodes, &g->node_share);
  ReadTable(object, "domain_cost", g->domains.size() * nodes, &g->domain_cost);
  ReadTable(object, "affinity", size_t(g->layers) * g->experts * nodes, &g->affinity);
  ReadFloat(object, "decode_per_prompt_token", &g->decode_per_prompt_token);
  ReadFloat(object, "mean_decode_tokens", &g->mean_decode_tokens);
  ReadFloat(object, "load_slack", &g->load_slack);
  ReadFloat(object, "load_slack_requests", &g->load_slack_requests);
  ReadFloat(object, "load_price", &g->load_price);
  object.ReadInt("microbatches", 1, kMaxMicrobatches, &g->microbatches);
  return object.status();
}

void ReadMoves(JsonObject& root, Plan* plan) {
  const Json* list = root.Read("moves");
  if (list == nullptr) {
    return;
  }
  if (!list->is_array()) {
    root.Fail("moves", absl::StrCat("is ", Shown(*list), ", must be a list"));
    return;
  }
  const int slots = plan->topology.slot_count();
  for (size_t i = 0; i < list->size() && root.status().ok(); ++i) {
    JsonObject item = root.Item("moves", (*list)[i], i);
    Move move;
    item.ReadInt("layer", 0, plan->model.moe_layers - 1, &move.layer, true);
    item.ReadInt("slot", 0, slots - 1, &move.slot, true);
    item.ReadInt("expert", 0, plan->model.experts - 1, &move.expert, true);
    // The old plan may have had more slots than this one.
    item.ReadInt("from_slot", -1, std::numeric_limits<int32_t>::max(), &move.from_slot);
    item.ReadInt("bytes", 0, std::numeric_limits<int64_t>::max(), &move.bytes);
    root.Merge(item.status());
    plan->moves.push_back(move);
  }
}

// Everything that readers may do without.
absl::Status ReadOptionalParts(JsonObject& root, Plan* plan) {
  root.ReadString("deployment", &plan->deployment);
  root.ReadUint64("epoch", &plan->position.epoch);
  root.ReadUint64("revision", &plan->position.revision);
  root.ReadString("reason", &plan->reason);
  root.ReadString("method", &plan->method);
  root.ReadUint64("seed", &plan->seed);
  root.ReadBool("time_limit_struck", &plan->time_limit_struck);
  if (root.Has("predicted")) {
    JsonObject predicted = root.ReadObject("predicted");
    plan->predicted = ReadPredicted(predicted);
    root.Merge(predicted.status());
  }
  JsonObject bounds = root.ReadObject("bounds");
  plan->bounds = ReadBounds(bounds);
  root.Merge(bounds.status());
  ReadMoves(root, plan);
  if (root.Has("grouping")) {
    root.Merge(ReadGrouping(root.ReadObject("grouping"), &plan->grouping));
  }
  return root.status();
}

absl::Status ReadFields(JsonObject& root, Plan* plan) {
  root.ReadFormat(kFormat, kVersion);
  RETURN_IF_ERROR(root.status());
  JsonObject model = root.ReadObject("model", true);
  ReadModelFields(model, &plan->model);
  RETURN_IF_ERROR(model.status());
  root.Check(Validate(plan->model));
  const absl::StatusOr<Topology> topology = ReadTopology(root);
  root.Check(topology.status());
  const Json* placement = root.Read("placement", true);
  RETURN_IF_ERROR(root.status());
  plan->topology = *topology;
  root.Check(ReadPlacement(*placement, plan));
  if (const Json* choice = root.Read("remote_choice"); choice != nullptr && root.status().ok()) {
    root.Check(ReadRemoteChoice(*choice, plan));
  }
  RETURN_IF_ERROR(root.status());
  RETURN_IF_ERROR(ReadOptionalParts(root, plan));
  root.Check(Validate(*plan));
  return root.status();
}

}  // namespace

std::string PlanToJson(const Plan& plan) {
  OrderedJson root;
  root["format"] = kFormat;
  root["version"] = kVersion;
  root["deployment"] = plan.deployment;
  root["epoch"] = plan.position.epoch;
  root["revision"] = plan.position.revision;
  root["method"] = plan.method;
  root["seed"] = plan.seed;
  root["reason"] = plan.reason;
  root["time_limit_struck"] = plan.time_limit_struck;
  root["model"] = ModelToJson(plan.model);
  root["topology"] = TopologyObject(plan.topology);
  if (plan.predicted.has_value()) {
    root["predicted"] = PredictedObject(*plan.predicted);
  }
  root["bounds"] = BoundsObject(plan.bounds);
  root["placement"] = PlacementArray(plan.placement);
  if (!plan.remote_choice.empty()) {
    root["remote_choice"] =
        RemoteChoiceArray(plan.remote_choice, plan.model.moe_layers, plan.topology.node_count());
  }
  if (!plan.grouping.empty()) {
    root["grouping"] = GroupingObject(plan.grouping);
  }
  root["moves"] = MovesArray(plan.moves);
  // A key a line, so that two plans can be compared by line.
  std::string text;
  for (const auto& [key, value] : root.items()) {
    absl::StrAppend(&text, text.empty() ? "{\n" : ",\n", "\"", key, "\":", ToText(value));
  }
  return absl::StrCat(text, "\n}\n");
}

absl::StatusOr<Plan> ParsePlan(const std::string& json, const std::string& name,
                               const ModelSpec& defaults) {
  ASSIGN_OR_RETURN(const Json document, ParseJson(json, name));
  JsonObject root(document, name);
  Plan plan;
  plan.model.hidden_size = defaults.hidden_size;
  plan.model.dispatch_bytes_per_value = defaults.dispatch_bytes_per_value;
  plan.model.combine_bytes_per_value = defaults.combine_bytes_per_value;
  RETURN_IF_ERROR(ReadFields(root, &plan));
  return plan;
}

absl::StatusOr<Plan> ReadPlan(const std::string& path, const ModelSpec& defaults) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  return ParsePlan(text, path, defaults);
}

absl::Status WritePlan(const std::string& path, const Plan& plan) {
  RETURN_IF_ERROR(Validate(plan));
  return WriteFileAtomically(path, PlanToJson(plan));
}

std::string FiguresToJson(const Figures& figures) { return ToText(FiguresObject(figures)); }

}  // namespace advisor
