#ifndef ADVISOR_CLIENT_CTL_EXPLANATION_H_
#define ADVISOR_CLIENT_CTL_EXPLANATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/cost/breakdown.h"
#include "core/model/figures.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/model/request.h"
#include "nlohmann/json.hpp"

namespace advisor::client {

// A plan explained by what a trace does under it, requests placed one by one as `assign` does.

// What a copy of an expert does, or would do, on a node.
struct PlaceExplanation {
  NodeId node;
  std::vector<int> gpus;   // that hold a copy, counted within the node; empty: none
  double activations = 0;  // of tokens at home there
  std::string domain;      // whose tokens these mostly are
  double domain_share = 0;
  // Visits of the layer, change over what they are: without this node's copy (for the only copy,
  // unset); with one more copy here.
  std::optional<double> change;
  std::optional<double> change_if_moved;  // were the only copy here; unset: there are several
};
struct ExpertExplanation {
  LayerId layer;
  ExpertId expert;
  double over_mean = 0;                  // activations over the mean of its layer
  std::vector<PlaceExplanation> places;  // by node
};

struct PlanExplanation {
  Figures figures;
  std::optional<Figures> previous;     // the plan before, on the same requests
  std::optional<int64_t> moved_slots;  // from that one; unset: other topology
  std::vector<Flow> flows;             // dearest first
  std::optional<ExpertExplanation> expert;
};

struct ExplainWhat {
  PhaseFilter phase = PhaseFilter::kDecode;
  int layer = -1, expert = -1;  // -1: no expert is asked about
  size_t flows = 10;
};

// `previous` may be null. INVALID_ARGUMENT: the plans and the trace are of different models, layer
// or expert is out of range.
absl::StatusOr<PlanExplanation> ExplainPlan(const Plan& plan, const Plan* previous,
                                            const Traffic& traffic, const ExplainWhat& what);

std::string ToText(const PlanExplanation& explanation, const Plan& plan);
nlohmann::ordered_json ToJson(const PlanExplanation& explanation, const Plan& plan);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_EXPLANATION_H_
