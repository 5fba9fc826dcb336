#include "core/model/plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "core/base/fingerprint.h"
#include "core/base/status_macros.h"
#include "core/model/deployment.h"

namespace advisor {
namespace {

absl::Status ValidateGrouping(const ModelSpec& model, const Topology& topology, const Grouping& g) {
  if (g.layers != model.moe_layers || g.experts != model.experts ||
      g.nodes != topology.node_count()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "grouping is for [%d layers, %d experts, %d nodes], must be [%d, %d, %d]", g.layers,
        g.experts, g.nodes, model.moe_layers, model.experts, topology.node_count()));
  }
  if (g.microbatches < 1 || g.microbatches > kMaxMicrobatches) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "grouping.microbatches is %d, must be 1 .. %d", g.microbatches, kMaxMicrobatches));
  }
  const size_t nodes = g.nodes;
  struct Table {
    const char* name;
    const std::vector<float>& values;
    size_t want;
  };
  for (const Table& table : {Table{"bias", g.bias, nodes}, Table{"node_share", g.node_share, nodes},
                             Table{"domain_cost", g.domain_cost, g.domains.size() * nodes},
                             Table{"affinity", g.affinity, size_t(g.layers) * g.experts * nodes}}) {
    if (table.values.size() != table.want) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "grouping.%s has %d values, must have %d", table.name, table.values.size(), table.want));
    }
    if (!std::all_of(table.values.begin(), table.values.end(),
                     [](float v) { return std::isfinite(v); })) {
      return absl::InvalidArgumentError(
          absl::StrFormat("grouping.%s has a value that is not finite", table.name));
    }
  }
  return absl::OkStatus();
}

void AddFloats(Fingerprint& f, const std::vector<float>& v) {
  f.AddBytes(v.data(), v.size() * sizeof(float));
}

}  // namespace

uint64_t PlacementHash(const Plan& plan) {
  Fingerprint f;
  f.Add(ModelFingerprint(plan.model));
  for (const NodeSpec& node : plan.topology.nodes()) {
    f.Add(node.name).Add(node.gpus).Add(node.slots_per_gpu);
  }
  const auto& slots = plan.placement.cells();
  const auto& choice = plan.remote_choice.cells();
  return f.AddBytes(slots.data(), slots.size() * sizeof(int16_t))
      .AddBytes(choice.data(), choice.size() * sizeof(int16_t))
      .value();
}

uint64_t GroupingHash(const Grouping& g) {
  Fingerprint f;
  f.Add(g.layers).Add(g.experts).Add(g.nodes).Add(g.domains.size());
  for (const std::string& domain : g.domains) {
    f.Add(domain);
  }
  AddFloats(f, g.bias);
  AddFloats(f, g.domain_cost);
  AddFloats(f, g.affinity);
  AddFloats(f, g.node_share);
  AddFloats(f, {g.decode_per_prompt_token, g.mean_decode_tokens, g.load_slack,
                g.load_slack_requests, g.load_price});
  if (g.microbatches >
      1) {  // younger than the format: where it says nothing, older readers agree on the hash
    f.Add(g.microbatches);
  }
  return f.value();
}

absl::Status Validate(const Plan& plan) {
  RETURN_IF_ERROR(Validate(plan.model));
  RETURN_IF_ERROR(ValidateCapacity(plan.model, plan.topology));
  RETURN_IF_ERROR(ValidatePlacement(plan.model, plan.topology, plan.placement, plan.remote_choice));
  return plan.grouping.empty() ? absl::OkStatus()
                               : ValidateGrouping(plan.model, plan.topology, plan.grouping);
}

}  // namespace advisor
