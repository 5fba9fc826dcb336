// Pairwise co-activation clustering with local-first copies: the line of GRACE-MoE (arXiv
// 2509.25041), made as strong as its kind of information allows.
// - Per layer, experts chosen together are put on one node: as many clusters as nodes, by pairwise
//   co-activation alone, under a load rule (ClusterExperts). GRACE clusters spectrally and lets
//   sizes vary inside a ratio; here sizes are the nodes' shares of the slots, grown greedily and
//   refined by swaps.
// - Spare slots hold copies of what a node's own tokens visit other nodes for, whole bundles of
//   co-activated experts drawing one another in (AddLocalCopies). A copy serves its own node only;
//   other nodes keep to the expert's cluster, where its companions are.
// - Requests are grouped, as GRACE does not: starting from K-means (SolveByBestGrouping), clusters
//   of experts are matched to the nodes whose requests want them most and requests are homed anew,
//   in turn; new requests are assigned by the same model as for joint (FitGrouping).
// - Inside a node copies are packed on GPUs by load.
#include <algorithm>
#include <numeric>
#include <utility>

#include "core/grouping/assigner.h"
#include "core/solver/best_grouping.h"
#include "core/solver/demand.h"
#include "core/solver/expert_clusters.h"
#include "core/solver/gpu_packing.h"
#include "core/solver/grouping_model.h"
#include "core/solver/home_assignment.h"
#include "core/solver/local_copies.h"
#include "core/solver/methods.h"

namespace advisor {
namespace {

constexpr double kHomeSlack = 0.03;  // above a node's share, while requests are grouped
constexpr int kRounds = 3;           // of {match, re-home}; later ones change next to nothing

class CoactivationMethod {
 public:
  CoactivationMethod(const Problem& problem, const SolveParams& params, const TokenPool& pool,
                     ParallelFor& parallel)
      : problem_(problem),
        params_(params),
        pool_(pool),
        share_(NodeShares(problem.topology)),
        sizes_(FirstCopies(problem.topology, problem.model.experts)),
        layers_(problem.model.moe_layers),
        clusters_(problem.model.moe_layers) {
    std::iota(layers_.begin(), layers_.end(), 0);
    parallel.Run(problem.model.moe_layers, [&](int l) {
      clusters_[l] =
          ClusterExperts(CoactivationOf(pool, l), problem.topology, sizes_, params.node_load_cap);
    });
  }

  // Settles homes (in the pool's order) and the experts' first copies.
  Grouped Build(std::vector<NodeId> homes) const {
    InlineParallelFor inline_parallel;
    Grouped out;
    out.cost = Settle(Copies::kFirst, &homes, &out.result, inline_parallel);
    out.result.homes = std::move(homes);
    return out;
  }

  // Fills the spare slots of the best, and its grouping.
  void Finish(SolveResult* result, ParallelFor& parallel) const {
    Settle(Copies::kAll, &result->homes, result, parallel);
    result->homes = InTrafficOrder(pool_, result->homes);
    result->grouping =
        FitGrouping(pool_, params_.phase, Serve(*result), problem_.topology.node_count(), parallel);
    SetLoadModel(problem_.topology, problem_.traffic, params_.phase, &result->grouping);
  }

 private:
  enum class Copies { kFirst, kAll };

  ServeTable Serve(const SolveResult& result) const {
    return ServeTable(problem_.model, problem_.topology, result.placement, result.remote_choice);
  }

  // Places for the homes and homes anew in turn; ends with a placement for the homes left. Returns
  // their remote visits, in token weight.
  double Settle(Copies copies, std::vector<NodeId>* homes, SolveResult* result,
                ParallelFor& parallel) const {
    const int nodes = problem_.topology.node_count();
    for (int round = 0;; ++round) {
      Place(copies, *homes, result, parallel);
      const std::vector<double> cost = HomeCosts(pool_, Serve(*result), nodes, layers_, parallel);
      std::vector<NodeId> next = AssignBalanced(cost, pool_.demand, share_, kHomeSlack);
      if (round == kRounds || next == *homes) {
        double sum = 0;
        for (size_t r = 0; r < homes->size(); ++r) {
          sum += cost[r * nodes + (*homes)[r].value()];
        }
        return sum;
      }
      *homes = std::move(next);
    }
  }

  void Place(Copies copies, const std::vector<NodeId>& homes, SolveResult* result,
             ParallelFor& parallel) const {
    const int nodes = problem_.topology.node_count();
    const Demand demand = DemandByHome(problem_.traffic, InTrafficOrder(pool_, homes), nodes,
                                       params_.phase, parallel);
    result->placement = Placement(problem_.model.moe_layers, problem_.topology.slot_count());
    result->remote_choice = RemoteChoice(problem_.model.moe_layers, nodes, problem_.model.experts);
    parallel.Run(problem_.model.moe_layers,
                 [&](int l) { PlaceLayer(copies, homes, demand, l, result); });
  }

  // A copy serves its own node; a node without one sends to the first copy.
  void PlaceLayer(Copies copies, const std::vector<NodeId>& homes, const Demand& demand, int l,
                  SolveResult* result) const {
    const Topology& topology = problem_.topology;
    const std::vector<int> first_node = MatchClusters(demand, l);
    std::vector<uint64_t> holders;
    for (int n : first_node) {
      holders.push_back(uint64_t{1} << n);
    }
    if (copies == Copies::kAll) {
      holders = AddLocalCopies(pool_, l, homes, first_node, topology, params_.node_load_cap);
    }
    std::vector<double> served(size_t(demand.nodes) * demand.experts, 0);
    for (int h = 0; h < demand.nodes; ++h) {
      for (int e = 0; e < demand.experts; ++e) {
        const bool local = holders[e] >> h & 1;
        served[size_t(local ? h : first_node[e]) * demand.experts + e] += demand.row(l, h)[e];
        if (!local) {
          result->remote_choice.row(LayerId(l), NodeId(h))[e] = static_cast<int16_t>(first_node[e]);
        }
      }
    }
    const std::vector<int16_t> row = PackGpus(topology, holders, served);
    std::copy(row.begin(), row.end(), result->placement.row(LayerId(l)).begin());
  }

  // The node of every expert when the layer's clusters are exchanged between nodes of one shape
  // while that raises the demand served at home.
  std::vector<int> MatchClusters(const Demand& demand, int l) const {
    const int nodes = demand.nodes;
    std::vector<double> wish(size_t(nodes) * nodes, 0);  // [cluster, node]
    for (int e = 0; e < demand.experts; ++e) {
      for (int n = 0; n < nodes; ++n) {
        wish[size_t(clusters_[l][e]) * nodes + n] += demand.row(l, n)[e];
      }
    }
    std::vector<int> node_of(nodes);
    std::iota(node_of.begin(), node_of.end(), 0);
    for (bool any = true; any;) {
      any = false;
      for (int a = 0; a < nodes; ++a) {
        for (int b = a + 1; b < nodes; ++b) {
          const auto at = [&](int c, int n) { return wish[size_t(c) * nodes + n]; };
          const double gain =
              at(a, node_of[b]) + at(b, node_of[a]) - at(a, node_of[a]) - at(b, node_of[b]);
          if (gain > 1e-6 && sizes_[a] == sizes_[b] && SameShape(a, b)) {
            std::swap(node_of[a], node_of[b]);
            any = true;
          }
        }
      }
    }
    std::vector<int> first_node;
    for (int c : clusters_[l]) {
      first_node.push_back(node_of[c]);
    }
    return first_node;
  }

  bool SameShape(int a, int b) const {
    const std::vector<NodeSpec>& nodes = problem_.topology.nodes();
    return nodes[a].gpus == nodes[b].gpus && nodes[a].slots_per_gpu == nodes[b].slots_per_gpu;
  }

  const Problem& problem_;
  const SolveParams& params_;
  const TokenPool& pool_;
  const std::vector<double> share_;
  const std::vector<int> sizes_;            // [nodes] first copies
  std::vector<int> layers_;                 // 0 .. layers - 1
  std::vector<std::vector<int>> clusters_;  // [layers, experts], cluster c sized for node c
};

}  // namespace

absl::StatusOr<SolveResult> SolveGreedyCoactivation(const Problem& problem,
                                                    const SolveParams& params,
                                                    ParallelFor& parallel) {
  const TokenPool pool = MakeTokenPool(problem.traffic, {}, {params.phase});
  std::vector<int> layers(problem.model.moe_layers);
  std::iota(layers.begin(), layers.end(), 0);
  const RequestGroups groups(MakeSignatures(pool, layers), pool.demand,
                             NodeShares(problem.topology), parallel);
  const CoactivationMethod method(problem, params, pool, parallel);
  const auto build = [&](const std::vector<NodeId>& homes) { return method.Build(homes); };
  SolveResult result = SolveByBestGrouping(problem, params, groups, build, parallel);
  method.Finish(&result, parallel);
  return result;
}

}  // namespace advisor
