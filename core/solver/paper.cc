// The method of arXiv 2604.23150, sections 4.1 and 4.2, as far as it is published:
// - A request is the vector of its decode tokens' expert counts, L2-normalised; requests are
//   clustered by K-means; clusters are mapped to device groups (here: nodes).
// - Usage of an expert by a node is summed over the clusters mapped to it. Every expert is placed
//   once, greedily by usage, under capacity; spare slots then get copies, again by usage.
// - A new request joins the group whose cluster its prompt resembles most.
//
// What the paper leaves open, and what is done here:
// - The signature concatenates all layers. A pool that serves prefill alone clusters by prefill.
// - K and the seeds: see SolveByBestGrouping; the best is the one under which the solver's own
//   requests, assigned one by one by their prompts, cause the fewest remote visits.
// - Clusters go to nodes by falling token demand, each to the node with the least demand for its
//   GPUs. K-means ignores demand, so requests are then given to the node of the most similar
//   centroid within a slack of an even share, and centroids and homes are settled in turn.
// - The greedy takes (node, expert) pairs by falling usage; a node's capacity for first copies is
//   its share of the slots, rounded up. Inside a node copies are packed on GPUs by load. Remote
//   copies are found in ring order.
// - Resemblance is the cosine between prompt counts and a node's centroid. A prompt's own norm is
//   the same for every node, so the linear model of Grouping with affinity = -centroid (of unit
//   length) ranks nodes exactly by it.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "core/base/check.h"
#include "core/grouping/assigner.h"
#include "core/solver/best_grouping.h"
#include "core/solver/demand.h"
#include "core/solver/gpu_packing.h"
#include "core/solver/home_assignment.h"
#include "core/solver/methods.h"
#include "core/solver/request_groups.h"

namespace advisor {
namespace {

// One layer's holders (node masks) by usage [nodes, experts].
std::vector<uint64_t> PlaceByUsage(const Topology& topology, int experts,
                                   absl::Span<const double> usage) {
  const int nodes = topology.node_count();
  std::vector<std::tuple<double, int, int>> wishes;  // by falling usage: -usage, node, expert
  for (int n = 0; n < nodes; ++n) {
    for (int e = 0; e < experts; ++e) {
      wishes.emplace_back(-usage[size_t(n) * experts + e], n, e);
    }
  }
  std::sort(wishes.begin(), wishes.end());
  std::vector<uint64_t> holders(experts, 0);
  std::vector<int> used(nodes, 0);
  const auto put = [&](int e, int n) {
    holders[e] |= uint64_t{1} << n;
    ++used[n];
  };
  for (const auto& [negative, n, e] : wishes) {
    const int share = (experts * topology.slots_on(NodeId(n)) + topology.slot_count() - 1) /
                      topology.slot_count();
    if (holders[e] == 0 && used[n] < share) {
      put(e, n);
    }
  }
  for (const auto& [negative, n, e] : wishes) {
    if (!(holders[e] >> n & 1) && used[n] < topology.slots_on(NodeId(n))) {
      put(e, n);
    }
  }
  return holders;
}

Placement PlaceAllByUsage(const Problem& problem, const SolveParams& params,
                          const std::vector<NodeId>& homes) {
  const int nodes = problem.topology.node_count(), experts = problem.model.experts;
  InlineParallelFor inline_parallel;
  const Demand usage = DemandByHome(problem.traffic, homes, nodes, params.phase, inline_parallel);
  Placement placement(problem.model.moe_layers, problem.topology.slot_count());
  for (int l = 0; l < problem.model.moe_layers; ++l) {
    const absl::Span<const double> of_layer(usage.row(l, 0), size_t(nodes) * experts);
    const std::vector<uint64_t> holders = PlaceByUsage(problem.topology, experts, of_layer);
    const std::vector<int16_t> row =
        PackGpus(problem.topology, holders, ServedInRingOrder(holders, of_layer, nodes));
    std::copy(row.begin(), row.end(), placement.row(LayerId(l)).begin());
  }
  return placement;
}

// What a whole allowance of load ahead costs (Grouping::load_price), in mean differences between a
// prompt's best node and its second.
constexpr double kPriceOfAllowance = 2;

double MeanRegret(const Grouping& grouping, const std::vector<Prompt>& prompts) {
  const Assigner assigner(grouping, grouping.nodes);
  double sum = 0;
  for (const Prompt& prompt : prompts) {
    const std::vector<Choice> ranked = assigner.Rank(prompt);
    sum += ranked.size() > 1 ? ranked[1].cost - ranked[0].cost : 0;
  }
  return prompts.empty() ? 0 : sum / static_cast<double>(prompts.size());
}

// The affinity is the centroid of a node's requests, of unit length, negative. `homes` in the order
// of the signatures.
Grouping GroupByCentroids(const Problem& problem, const Signatures& signatures,
                          const std::vector<NodeId>& homes) {
  const size_t nodes = problem.topology.node_count();
  std::vector<double> centroid(signatures.dimensions * nodes, 0), square(nodes, 0);
  for (size_t i = 0; i < homes.size(); ++i) {
    for (size_t d = 0; d < signatures.dimensions; ++d) {
      centroid[d * nodes + homes[i].value()] += signatures.Of(i)[d];
    }
  }
  for (size_t k = 0; k < centroid.size(); ++k) {
    square[k % nodes] += centroid[k] * centroid[k];
  }
  Grouping g;
  g.layers = problem.model.moe_layers;
  g.experts = problem.model.experts;
  g.nodes = static_cast<int>(nodes);
  g.bias.assign(nodes, 0);
  for (size_t k = 0; k < centroid.size(); ++k) {
    const double length = std::sqrt(square[k % nodes]);
    g.affinity.push_back(length > 0 ? static_cast<float>(-centroid[k] / length) : 0.0f);
  }
  return g;
}

// What `result` costs the pool's requests when they are assigned one by one: remote visits, or
// remote activations where only sums are known. In the pool's order, so that the order of arrival
// does not matter.
double CostOneByOne(const Problem& problem, const SolveParams& params, const TokenPool& pool,
                    const std::vector<Prompt>& prompts, const SolveResult& result) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  Assigner assigner(result.grouping, problem.topology.node_count());
  std::vector<NodeId> homes;
  for (const Prompt& prompt : prompts) {
    homes.push_back(assigner.Assign(prompt).node);
  }
  const absl::StatusOr<Figures> figures =
      Evaluate(plan, problem.traffic, InTrafficOrder(pool, homes), {params.phase, params.dispatch});
  ADVISOR_CHECK(figures.ok());
  return figures->remote_visits_per_token_layer.value_or(figures->remote_activation_ratio);
}

}  // namespace

absl::StatusOr<SolveResult> SolvePaper(const Problem& problem, const SolveParams& params,
                                       ParallelFor& parallel) {
  const bool prefill = params.phase == PhaseFilter::kPrefill;
  const TokenPool signed_tokens =
      MakeTokenPool(problem.traffic, {}, {prefill ? PhaseFilter::kPrefill : PhaseFilter::kDecode});
  const TokenPool pool = MakeTokenPool(problem.traffic, {}, {params.phase});
  std::vector<int> layers(problem.model.moe_layers);
  std::iota(layers.begin(), layers.end(), 0);
  const Signatures signatures = MakeSignatures(signed_tokens, layers);
  const RequestGroups groups(signatures, pool.demand, NodeShares(problem.topology), parallel);
  std::vector<Prompt> prompts;
  for (const Request* request : pool.requests) {
    prompts.push_back(PromptOf(problem.model, *request));
  }
  const auto build = [&](const std::vector<NodeId>& homes) {
    Grouped out;
    out.result.homes = InTrafficOrder(pool, homes);
    out.result.placement = PlaceAllByUsage(problem, params, out.result.homes);
    Grouping& grouping = out.result.grouping;
    grouping = GroupByCentroids(problem, signatures, homes);
    SetLoadModel(problem.topology, problem.traffic, params.phase, &grouping);
    grouping.load_price = static_cast<float>(kPriceOfAllowance * MeanRegret(grouping, prompts));
    out.cost = CostOneByOne(problem, params, pool, prompts, out.result);
    return out;
  };
  return SolveByBestGrouping(problem, params, groups, build, parallel);
}

}  // namespace advisor
