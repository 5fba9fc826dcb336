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
#include "core/solver/cluster_placement.h"
#include "core/solver/expert_clusters.h"
#include "core/solver/grouping_model.h"
#include "core/solver/home_assignment.h"
#include "core/solver/layer_traffic.h"
#include "core/solver/methods.h"

namespace advisor {
namespace {

constexpr double kHomeSlack = 0.03;  // above a node's share, while requests are grouped
constexpr int kRounds = 3;           // of {match, re-home}; later ones change next to nothing

// At most kProbeLayers layers, evenly spaced, judge the groupings.
std::vector<int> ProbeLayers(int layers) {
  constexpr int kProbeLayers = 8;
  const int probes = std::min(kProbeLayers, layers);
  std::vector<int> out;
  for (int i = 0; i < probes; ++i) {
    out.push_back((2 * i + 1) * layers / (2 * probes));
  }
  return out;
}

class CoactivationMethod {
 public:
  CoactivationMethod(const Problem& problem, const SolveParams& params, const TokenPool& pool,
                     ParallelFor& parallel)
      : problem_(problem),
        params_(params),
        pool_(pool),
        share_(NodeShares(problem.topology)),
        clusters_(problem.model.moe_layers) {
    const std::vector<int> sizes = FirstCopies(problem.topology, problem.model.experts);
    parallel.Run(problem.model.moe_layers, [&](int l) {
      clusters_[l] =
          ClusterExperts(CoactivationOf(pool, l), problem.topology, sizes, params.node_load_cap);
    });
  }

  // Settles homes (in the pool's order) with the first copies of a few layers.
  Grouped Probe(std::vector<NodeId> homes) const {
    InlineParallelFor inline_parallel;
    Grouped out;
    out.cost = Settle(Copies::kFirst, ProbeLayers(problem_.model.moe_layers), &homes, &out.result,
                      inline_parallel);
    out.result.homes = std::move(homes);
    return out;
  }

  // All layers with all copies, and the grouping, from a probe's homes.
  void Finish(SolveResult* result, ParallelFor& parallel) const {
    std::vector<int> layers(problem_.model.moe_layers);
    std::iota(layers.begin(), layers.end(), 0);
    Settle(Copies::kAll, layers, &result->homes, result, parallel);
    result->homes = InTrafficOrder(pool_, result->homes);
    result->grouping =
        FitGrouping(pool_, params_.phase, Serve(*result), NodeShares(problem_.topology), parallel);
    SetLoadModel(problem_.topology, problem_.traffic, params_.phase, &result->grouping);
  }

 private:
  ServeTable Serve(const SolveResult& result) const {
    return ServeTable(problem_.model, problem_.topology, result.placement, result.remote_choice);
  }

  // Places `layers` for the homes and homes anew in turn; ends with a placement for the homes left.
  // Returns their remote visits in these layers, in token weight.
  double Settle(Copies copies, const std::vector<int>& layers, std::vector<NodeId>* homes,
                SolveResult* result, ParallelFor& parallel) const {
    const ModelSpec& model = problem_.model;
    const int nodes = problem_.topology.node_count();
    for (int round = 0;; ++round) {
      result->placement = Placement(model.moe_layers, problem_.topology.slot_count());
      result->remote_choice = RemoteChoice(model.moe_layers, nodes, model.experts);
      parallel.Run(static_cast<int>(layers.size()),
                   [&](int i) { PlaceLayer(copies, *homes, layers[i], result); });
      const std::vector<double> cost = HomeCosts(pool_, Serve(*result), nodes, layers, parallel);
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

  void PlaceLayer(Copies copies, const std::vector<NodeId>& homes, int l,
                  SolveResult* result) const {
    const LayerTraffic traffic = GatherLayer(pool_, l, homes, problem_.topology.node_count());
    const ClusterPlacement placed =
        PlaceClusters(traffic, clusters_[l], problem_.topology, copies, params_.node_load_cap);
    std::copy(placed.row.begin(), placed.row.end(), result->placement.row(LayerId(l)).begin());
    std::copy(placed.choice.begin(), placed.choice.end(),
              result->remote_choice.row(LayerId(l), NodeId(0)).begin());
  }

  const Problem& problem_;
  const SolveParams& params_;
  const TokenPool& pool_;
  const std::vector<double> share_;
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
  const auto probe = [&](const std::vector<NodeId>& homes) { return method.Probe(homes); };
  SolveResult result = SolveByBestGrouping(problem, params, groups, probe, parallel);
  method.Finish(&result, parallel);
  return result;
}

}  // namespace advisor
