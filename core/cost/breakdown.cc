#include "core/cost/breakdown.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"

namespace advisor {
namespace {

double Visits(const std::vector<LayerFigures>& layers) {
  double sum = 0;
  for (const LayerFigures& layer : layers) {
    sum += layer.visits;
  }
  return sum;
}

// Adds one layer's remote tokens to `flows` [nodes (home), experts, nodes (server)].
void AddFlows(const Plan& plan, const ServeTable& serve, const Request& request, int home,
              int layer, PhaseFilter phase, std::vector<Flow>& flows) {
  const int nodes = plan.topology.node_count(), experts = plan.model.experts;
  const int16_t* to = serve.ServeRow(layer, home);
  Flow* own = &flows[size_t(home) * experts * nodes];
  if (request.counts_only()) {
    for (int e = 0; e < experts; ++e) {
      const double activations = request.weight * request.counts[size_t(layer) * experts + e];
      own[size_t(e) * nodes + to[e]].activations += activations;
    }
    return;
  }
  for (int t = request.first_token(phase); t < request.end_token(phase); ++t) {
    const uint16_t* ids = request.token(plan.model, t, layer);
    for (int i = 0; i < plan.model.top_k; ++i) {
      const auto together = std::count_if(ids, ids + plan.model.top_k,
                                          [&](uint16_t e) { return to[e] == to[ids[i]]; });
      Flow& flow = own[size_t(ids[i]) * nodes + to[ids[i]]];
      flow.activations += request.weight;
      flow.visits += request.weight / static_cast<double>(together);
    }
  }
}

// Home, else the plan's choice, else ring order, where `holders` are the expert's.
int16_t ServerAmong(const Plan& plan, LayerId layer, NodeId home, ExpertId expert,
                    uint64_t holders) {
  const int nodes = plan.topology.node_count();
  if (!(holders >> home.value() & 1) && !plan.remote_choice.empty()) {
    const int16_t choice = plan.remote_choice.row(layer, home)[expert.value()];
    if (choice != kRingOrder && (holders >> choice & 1)) {
      return choice;
    }
  }
  int server = home.value();
  while (!(holders >> server & 1)) {
    server = (server + 1) % nodes;
  }
  return static_cast<int16_t>(server);
}

bool Dearer(const Flow& a, const Flow& b) {
  return std::tuple(-a.visits, -a.activations, a.layer, a.expert, a.home, a.server) <
         std::tuple(-b.visits, -b.activations, b.layer, b.expert, b.home, b.server);
}

}  // namespace

absl::StatusOr<std::vector<DomainSaving>> SavingByDomain(const Plan& plan, const Traffic& traffic,
                                                         absl::Span<const NodeId> homes,
                                                         const EvaluateOptions& options) {
  RETURN_IF_ERROR(CheckPlay(plan, traffic, homes));
  const std::vector<NodeId> dealt =
      DealRoundRobin(traffic.requests.size(), plan.topology.node_count());
  std::map<std::string, std::vector<size_t>> by_domain;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    by_domain[traffic.requests[i].domain].push_back(i);
  }
  const Plan linear = BaselinePlan(plan.model, plan.topology);
  std::vector<DomainSaving> out;
  for (const auto& [domain, members] : by_domain) {
    Traffic own{traffic.model, traffic.source, {}};
    std::vector<NodeId> own_homes, own_dealt;
    DomainSaving saving;
    saving.domain = domain;
    for (const size_t i : members) {
      const Request& request = traffic.requests[i];
      own.requests.push_back(request);
      own_homes.push_back(homes[i]);
      own_dealt.push_back(dealt[i]);
      saving.tokens +=
          request.counts_only() ? 0 : request.weight * request.tokens_in(options.phase);
    }
    ASSIGN_OR_RETURN(const auto layers, EvaluateLayers(plan, own, own_homes, options));
    ASSIGN_OR_RETURN(const auto base, EvaluateLayers(linear, own, own_dealt, {options.phase}));
    if (saving.tokens > 0) {
      saving.visits_per_token_layer = Visits(layers) / (saving.tokens * plan.model.moe_layers);
    }
    if (Visits(base) > 0) {
      saving.saving_ratio = 1 - Visits(layers) / Visits(base);
    }
    out.push_back(std::move(saving));
  }
  return out;
}

absl::StatusOr<std::vector<LayerFigures>> EvaluateLinearLayers(const ModelSpec& model,
                                                               const Topology& topology,
                                                               const Traffic& traffic,
                                                               PhaseFilter phase) {
  return EvaluateLayers(BaselinePlan(model, topology), traffic,
                        DealRoundRobin(traffic.requests.size(), topology.node_count()), {phase});
}

std::vector<double> DemandByHome(const Traffic& traffic, absl::Span<const NodeId> homes, int nodes,
                                 PhaseFilter phase) {
  const ModelSpec& model = traffic.model;
  std::vector<double> out(size_t(model.moe_layers) * nodes * model.experts, 0.0);
  for (size_t i = 0; i < homes.size(); ++i) {
    for (int l = 0; l < model.moe_layers; ++l) {
      AddDemand(model, traffic.requests[i], phase, l,
                &out[(size_t(l) * nodes + homes[i].value()) * model.experts]);
    }
  }
  return out;
}

absl::StatusOr<std::vector<Flow>> DearestFlows(const Plan& plan, const Traffic& traffic,
                                               absl::Span<const NodeId> homes, PhaseFilter phase,
                                               size_t top) {
  RETURN_IF_ERROR(CheckPlay(plan, traffic, homes));
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  const int nodes = plan.topology.node_count(), experts = plan.model.experts;
  std::vector<Flow> dearest;
  double visits = 0, activations = 0;
  for (int l = 0; l < plan.model.moe_layers; ++l) {
    std::vector<Flow> flows(size_t(nodes) * experts * nodes);
    for (size_t i = 0; i < homes.size(); ++i) {
      AddFlows(plan, serve, traffic.requests[i], homes[i].value(), l, phase, flows);
    }
    for (size_t cell = 0; cell < flows.size(); ++cell) {
      Flow& flow = flows[cell];
      flow.layer = l;
      flow.server = NodeId(static_cast<int>(cell % nodes));
      flow.expert = static_cast<int>(cell / nodes % experts);
      flow.home = NodeId(static_cast<int>(cell / nodes / experts));
      if (flow.activations > 0 && flow.home != flow.server) {
        visits += flow.visits;
        activations += flow.activations;
        dearest.push_back(flow);
      }
    }
    const size_t kept = std::min(top, dearest.size());
    std::partial_sort(dearest.begin(), dearest.begin() + kept, dearest.end(), Dearer);
    dearest.resize(kept);
  }
  for (Flow& flow : dearest) {
    flow.share = visits > 0 ? flow.visits / visits : flow.activations / activations;
  }
  return dearest;
}

absl::StatusOr<double> VisitsWithHolders(const Plan& plan, const Traffic& traffic,
                                         absl::Span<const NodeId> homes, PhaseFilter phase,
                                         LayerId layer, ExpertId expert, uint64_t holders) {
  RETURN_IF_ERROR(CheckPlay(plan, traffic, homes));
  const int nodes = plan.topology.node_count(), experts = plan.model.experts;
  const int l = layer.value(), e = expert.value();
  if (l < 0 || l >= plan.model.moe_layers || e < 0 || e >= experts) {
    return absl::InvalidArgumentError(
        absl::StrFormat("layer %d, expert %d: must be in 0 .. %d and 0 .. %d", l, e,
                        plan.model.moe_layers - 1, experts - 1));
  }
  if (holders == 0 || (nodes < kMaxNodes && holders >> nodes != 0)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("holders %x: must be some of %d nodes", holders, nodes));
  }
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  std::vector<std::vector<int16_t>> rows;
  for (int home = 0; home < nodes; ++home) {
    const int16_t* row = serve.ServeRow(l, home);
    rows.emplace_back(row, row + experts);
    rows.back()[e] = ServerAmong(plan, layer, NodeId(home), expert, holders);
  }
  double visits = 0;
  for (size_t i = 0; i < homes.size(); ++i) {
    const Request& r = traffic.requests[i];
    const int home = homes[i].value();
    for (int t = r.first_token(phase); !r.counts_only() && t < r.end_token(phase); ++t) {
      visits += r.weight *
                RemoteVisits(r.token(plan.model, t, l), plan.model.top_k, rows[home].data(), home);
    }
  }
  return visits;
}

}  // namespace advisor
