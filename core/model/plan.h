#ifndef ADVISOR_CORE_MODEL_PLAN_H_
#define ADVISOR_CORE_MODEL_PLAN_H_

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/model/figures.h"
#include "core/model/model_spec.h"
#include "core/model/placement.h"
#include "core/model/topology.h"

namespace advisor {

// Totally ordered position of a plan: epochs (leadership terms) first, then revisions within one.
// {0, 0}: no plan.
struct Position {
  uint64_t epoch = 0;
  uint64_t revision = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

// What is needed to choose a home node for a request from its prompt, without a call to anyone. The
// cost of homing a request on node n, in remote visits per decode token summed over layers, is
// estimated as
//   cost(n) = bias[n] + domain_cost[domain][n] + sum over (l, e) of affinity[l, e, n] * c(l, e) /
//   prompt tokens
// where c(l, e) are the prompt's counts and the domain term is 0 for labels not listed. Lower is
// better.
struct Grouping {
  uint64_t revision = 0;  // its own, cheaper sequence; 0: no grouping
  int layers = 0, experts = 0, nodes = 0;
  std::vector<float> bias;           // [nodes]
  std::vector<std::string> domains;  // labels known to the solver, sorted
  std::vector<float> domain_cost;    // [domains, nodes]
  std::vector<float> affinity;       // [layers, experts, nodes]
  std::vector<float> node_share;  // [nodes] share of all home tokens a node should get; sums to 1
  float decode_per_prompt_token =
      1;  // decode tokens expected per prompt token, from the solver's traffic
  float mean_decode_tokens = 0;  // expected decode tokens where the prompt length says nothing
  // A node may run ahead of its fair part by its allowance, the sum of these two
  // (core/grouping/assigner.h).
  float load_slack = 0.1f;        // share of the fair part
  float load_slack_requests = 3;  // typical requests
  // Added to the cost of a node whose load is a whole allowance ahead of its fair part (taken off
  // one that is behind), in proportion: requests that lose least by it give way before a node is
  // full.
  float load_price = 0;
  int microbatches = 1;  // per node, 1 .. kMaxMicrobatches: see core/grouping/microbatcher.h
  bool empty() const { return nodes == 0; }
  friend bool operator==(const Grouping&, const Grouping&) = default;
};

// One copy that a GPU must fetch: expert `expert` of `layer` into `slot`, from the nearest slot
// that held it before.
struct Move {
  int32_t layer = 0;
  int32_t slot = 0;
  int32_t expert = 0;
  int32_t from_slot = -1;  // -1: no GPU holds it, load from storage
  int64_t bytes = 0;       // ModelSpec::expert_bytes
  friend bool operator==(const Move&, const Move&) = default;
};

// Lower bounds under the names of Figures; unset where none is known.
struct Bounds {
  std::optional<double> remote_visits_per_token_layer;
  std::optional<double> internode_bytes_per_token;
  std::optional<double> remote_activation_ratio;
  std::optional<double> node_load_mean;
  std::optional<double> gpu_load_mean;
  std::optional<double> modelled_moe_ms_per_step;  // where a time model is given
  // (objective - its bound) / objective, for the objective minimised.
  std::optional<double> gap_ratio;
  friend bool operator==(const Bounds&, const Bounds&) = default;
};

// What the solver expects on traffic it has not seen, per phase where both are served.
struct Predicted {
  Figures figures;  // on the deployment's phase
  std::optional<Figures> prefill, decode;
  std::optional<Figures> fit;  // in-sample figures, kept apart
  // Layers whose load cap could not be met on the solver's own traffic.
  std::vector<int> layers_over_cap;
  friend bool operator==(const Predicted&, const Predicted&) = default;
};

// A published or solved plan. Immutable once shared.
struct Plan {
  std::string deployment;
  Position position;
  ModelSpec model;
  Topology topology;
  Placement placement;
  RemoteChoice remote_choice;  // empty: ring order
  Grouping grouping;           // empty: requests are dealt round-robin
  std::optional<Predicted> predicted;
  Bounds bounds;
  std::vector<Move> moves;  // against the plan it replaces
  // Why it was made, one of ToString(PublishReason) or the command that made it.
  std::string reason;
  std::string method = "joint";
  uint64_t seed = 0;
  bool time_limit_struck = false;  // the outer time limit ended the search early
};

// Identity of what engines act on: placement and remote choice, with model and topology. Equal
// content, equal hash.
uint64_t PlacementHash(const Plan& plan);
// Identity of the grouping's tables.
uint64_t GroupingHash(const Grouping& grouping);

// Placement, remote choice and grouping shapes all fit model and topology and every number is
// finite; see ValidatePlacement. Called on every plan before it is published, written or obeyed.
absl::Status Validate(const Plan& plan);

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_PLAN_H_
