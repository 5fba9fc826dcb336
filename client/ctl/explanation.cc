#include "client/ctl/explanation.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/grouping/assigner.h"
#include "core/io/plan_file.h"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

// GPUs of `node`, counted within it, that hold the expert.
std::vector<int> GpusThatHold(const Plan& plan, LayerId layer, ExpertId expert, NodeId node) {
  const Topology& topology = plan.topology;
  const auto row = plan.placement.row(layer);
  std::vector<int> gpus;
  for (int s = 0; s < topology.slot_count(); ++s) {
    const GpuId gpu = topology.gpu_of(SlotId(s));
    if (row[s] == expert.value() && topology.node_of(gpu) == node) {
      gpus.push_back(gpu.value() - topology.first_gpu(node).value());
    }
  }
  return gpus;
}

// Who calls the expert from where: activations by home and domain, and the mean of the layer.
void AddDemand(const Plan& plan, const Traffic& traffic, const std::vector<NodeId>& homes,
               PhaseFilter phase, ExpertExplanation* out) {
  const int experts = plan.model.experts;
  std::vector<std::map<std::string, double>> by_domain(plan.topology.node_count());
  double own = 0, all = 0;
  std::vector<double> row(experts);
  for (size_t i = 0; i < homes.size(); ++i) {
    const Request& request = traffic.requests[i];
    std::fill(row.begin(), row.end(), 0.0);
    AddDemand(plan.model, request, phase, out->layer.value(), row.data());
    const double count = row[out->expert.value()];
    by_domain[homes[i].value()][request.domain] += count;
    out->places[homes[i].value()].activations += count;
    own += count;
    all += std::accumulate(row.begin(), row.end(), 0.0);
  }
  out->over_mean = all > 0 ? own * experts / all : 0;
  for (PlaceExplanation& place : out->places) {
    for (const auto& [domain, count] : by_domain[place.node.value()]) {
      if (place.activations > 0 && count / place.activations > place.domain_share) {
        place.domain = domain;
        place.domain_share = count / place.activations;
      }
    }
  }
}

absl::StatusOr<ExpertExplanation> ExplainExpert(const Plan& plan, const Traffic& traffic,
                                                const std::vector<NodeId>& homes,
                                                const ExplainWhat& what) {
  ExpertExplanation out;
  out.layer = LayerId(what.layer);
  out.expert = ExpertId(what.expert);
  const auto visits = [&](uint64_t holders) {
    return VisitsWithHolders(plan, traffic, homes, what.phase, out.layer, out.expert, holders);
  };
  // Says what is out of range, before anything is read by it.
  RETURN_IF_ERROR(visits(1).status());
  uint64_t holders = 0;
  for (int n = 0; n < plan.topology.node_count(); ++n) {
    PlaceExplanation place;
    place.node = NodeId(n);
    place.gpus = GpusThatHold(plan, out.layer, out.expert, place.node);
    holders |= uint64_t{!place.gpus.empty()} << n;
    out.places.push_back(std::move(place));
  }
  AddDemand(plan, traffic, homes, what.phase, &out);
  ASSIGN_OR_RETURN(const double now, visits(holders));
  const bool only = (holders & (holders - 1)) == 0;
  for (PlaceExplanation& place : out.places) {
    const uint64_t bit = uint64_t{1} << place.node.value();
    if (now > 0 && (holders ^ bit) != 0) {
      ASSIGN_OR_RETURN(const double then, visits(holders ^ bit));
      place.change = then / now - 1;
    }
    if (now > 0 && only && holders != bit) {
      ASSIGN_OR_RETURN(const double then, visits(bit));
      place.change_if_moved = then / now - 1;
    }
  }
  return out;
}

std::string SignedPercent(const std::optional<double>& ratio) {
  return ratio.has_value() ? absl::StrFormat("%+.2f %%", 100 * *ratio) : "-";
}

std::string NodeName(const Plan& plan, NodeId node) {
  return plan.topology.nodes()[node.value()].name;
}

std::string TextOf(const ExpertExplanation& e, const Plan& plan) {
  std::string out = absl::StrFormat(
      "\nexpert %d of layer %d: %.2f x the mean of its layer. Visits of the layer without the copy "
      "that a node has, with one more where it has none%s:\n",
      e.expert.value(), e.layer.value(), e.over_mean,
      std::any_of(e.places.begin(), e.places.end(),
                  [](const PlaceExplanation& p) { return p.change_if_moved.has_value(); })
          ? ", were the only one moved there"
          : "");
  Table table({"node", "on GPU", "called from here", "mostly by", "without", "with", "moved"});
  for (const PlaceExplanation& p : e.places) {
    const bool held = !p.gpus.empty();
    table.AddRow({NodeName(plan, p.node), held ? absl::StrJoin(p.gpus, ",") : "-",
                  absl::StrFormat("%.0f", p.activations),
                  p.activations > 0
                      ? absl::StrFormat("%s %.0f %%", DomainLabel(p.domain), 100 * p.domain_share)
                      : "-",
                  held ? SignedPercent(p.change) : "-", held ? "-" : SignedPercent(p.change),
                  SignedPercent(p.change_if_moved)});
  }
  return out + table.ToText();
}

Json JsonOf(const ExpertExplanation& e, const Plan& plan) {
  Json places = Json::array();
  for (const PlaceExplanation& p : e.places) {
    Json place = {{"node", NodeName(plan, p.node)},
                  {"gpus", p.gpus},
                  {"activations", p.activations},
                  {"domain", p.domain},
                  {"domain_share", p.domain_share}};
    if (p.change.has_value()) {
      place[p.gpus.empty() ? "visits_change_with" : "visits_change_without"] = *p.change;
    }
    if (p.change_if_moved.has_value()) {
      place["visits_change_moved"] = *p.change_if_moved;
    }
    places.push_back(std::move(place));
  }
  return {{"layer", e.layer.value()},
          {"expert", e.expert.value()},
          {"over_mean", e.over_mean},
          {"nodes", places}};
}

}  // namespace

absl::StatusOr<PlanExplanation> ExplainPlan(const Plan& plan, const Plan* previous,
                                            const Traffic& traffic, const ExplainWhat& what) {
  PlanExplanation out;
  const std::vector<NodeId> homes = AssignInOrder(plan, traffic);
  ASSIGN_OR_RETURN(out.figures, EvaluateWithBaseline(plan, traffic, homes, {what.phase}));
  if (previous != nullptr) {
    ASSIGN_OR_RETURN(
        out.previous,
        EvaluateWithBaseline(*previous, traffic, AssignInOrder(*previous, traffic), {what.phase}));
    if (previous->topology == plan.topology) {
      out.moved_slots = MovedSlots(plan.topology, previous->placement, plan.placement);
    }
  }
  ASSIGN_OR_RETURN(out.flows, DearestFlows(plan, traffic, homes, what.phase, what.flows));
  if (what.layer >= 0) {
    ASSIGN_OR_RETURN(out.expert, ExplainExpert(plan, traffic, homes, what));
  }
  return out;
}

std::string ToText(const PlanExplanation& e, const Plan& plan) {
  std::vector<FiguresColumn> columns;
  if (e.previous.has_value()) {
    columns.push_back({"the last plan", *e.previous});
  }
  columns.push_back({"this plan", e.figures});
  std::string out = FiguresTable(columns);
  if (e.moved_slots.has_value()) {
    absl::StrAppend(&out, "slots moved from the last plan: ", *e.moved_slots, "\n");
  }
  absl::StrAppend(&out, "\ndearest remaining flows:\n");
  Table table({"from", "to", "layer", "expert", "activations", "share of visits"});
  for (const Flow& f : e.flows) {
    table.AddRow({NodeName(plan, f.home), NodeName(plan, f.server), absl::StrCat(f.layer),
                  absl::StrCat(f.expert), absl::StrFormat("%.0f", f.activations),
                  absl::StrFormat("%.3f %%", 100 * f.share)});
  }
  absl::StrAppend(&out, e.flows.empty() ? "none: every token stays at home\n" : table.ToText());
  if (e.expert.has_value()) {
    absl::StrAppend(&out, TextOf(*e.expert, plan));
  }
  return out;
}

Json ToJson(const PlanExplanation& e, const Plan& plan) {
  Json out = {{"figures", Json::parse(FiguresToJson(e.figures))}, {"flows", Json::array()}};
  if (e.previous.has_value()) {
    out["previous"] = Json::parse(FiguresToJson(*e.previous));
  }
  if (e.moved_slots.has_value()) {
    out["moved_slots"] = *e.moved_slots;
  }
  for (const Flow& f : e.flows) {
    out["flows"].push_back({{"from", NodeName(plan, f.home)},
                            {"to", NodeName(plan, f.server)},
                            {"layer", f.layer},
                            {"expert", f.expert},
                            {"activations", f.activations},
                            {"visits", f.visits},
                            {"share", f.share}});
  }
  if (e.expert.has_value()) {
    out["expert"] = JsonOf(*e.expert, plan);
  }
  return out;
}

}  // namespace advisor::client
