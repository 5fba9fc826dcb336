#include <algorithm>
#include <numeric>
#include <optional>

#include "absl/status/status.h"
#include "core/grouping/assigner.h"
#include "core/solver/cover_search.h"
#include "core/solver/eplb.h"
#include "core/solver/gpu_leveling.h"
#include "core/solver/grouping_model.h"
#include "core/solver/home_assignment.h"
#include "core/solver/joint_schedule.h"
#include "core/solver/layer_search.h"
#include "core/solver/layer_start.h"
#include "core/solver/load_caps.h"
#include "core/solver/load_leveling.h"
#include "core/solver/methods.h"
#include "core/solver/moves.h"
#include "core/solver/request_clusters.h"
#include "core/solver/start_rows.h"
#include "core/solver/swap_leveling.h"

namespace advisor {
namespace {

// Tokens outside the phase that is minimised count as so much of one inside: routing of prompt and
// answer is alike, but not the same. Held-out savings are flat between 0.2 and 0.5.
constexpr double kOtherPhaseWeight = 0.3;
// Home tokens that a node may have above its share while requests are grouped.
constexpr double kHomeSlack = 0.03;
// Loads so near the mean are level: objective balance.
constexpr double kLevel = 1.003;
// Under a move budget: the share of the layer's tokens that one moved slot must save a visit, so
// that noise moves nothing.
constexpr double kMovePrice = 0.0005;
// A placement in the making with the homes that it was made for.
struct Draft {
  Placement placement;
  RemoteChoice choice;
  std::vector<NodeId> homes;  // by pool request
  double cost = 0;            // over the layers placed last
  double home_cost = 0;       // of the homes as they were last chosen, loads aside
};

class JointSearch {
 public:
  JointSearch(const Problem& problem, const SolveParams& params, ParallelFor& parallel);
  SolveResult Run();

 private:
  bool Stopped() const { return params_.should_stop && params_.should_stop(); }
  // Repair: the plan in force is the start and slots that move are counted.
  bool Repairs() const { return advisor::Repairs(problem_, params_); }
  std::vector<int> ProbeLayers() const;
  Draft StartDraft() const;
  Draft FirstDraft();
  Draft BestStart(const Draft& first);
  Draft Search(Draft draft);
  Draft ForTable();
  void Place(Draft& draft, absl::Span<const int> layers, double share_of_work, int pass);
  double PlaceLayer(Draft& draft, LayerId l, int64_t work, int pass, Rng rng, int64_t* iterations);
  void Keep(const LayerState& layer, absl::Span<int16_t> row, absl::Span<int16_t> choice,
            double* least) const;
  void Cover(Draft& draft);
  int64_t CoverLayer(Draft& draft, LayerId l, Rng rng) const;
  void Rehome(Draft& draft, absl::Span<const int> layers) const;
  SolveResult Finish(const Draft& draft);
  LayerLimits LimitsOf(const LayerTraffic& traffic, const AnnealSchedule& schedule) const;
  std::vector<int16_t> StartByLoad(const LayerTraffic& traffic) const;
  // One layer's remote choice as a whole, [nodes, experts].
  absl::Span<int16_t> LayerChoice(Draft& draft, LayerId l) const {
    return {draft.choice.row(l, NodeId(0)).data(),
            size_t(problem_.topology.node_count()) * problem_.model.experts};
  }

  const Problem& problem_;
  const SolveParams& params_;
  ParallelFor& parallel_;
  Budget budget_;
  const LoadCaps caps_;
  Rng rng_;
  std::vector<double> share_;
  TokenPool pool_;
  std::vector<int> all_layers_;
  std::optional<StartRows> starts_;
  int64_t iterations_ = 0;
  uint64_t placements_ = 0;
};

JointSearch::JointSearch(const Problem& problem, const SolveParams& params, ParallelFor& parallel)
    : problem_(problem),
      params_(params),
      parallel_(parallel),
      budget_(BudgetOf(params.effort)),
      caps_(LoadCapsOf(problem, params, parallel)),
      rng_(params.seed),
      share_(NodeShares(problem.topology)),
      all_layers_(problem.model.moe_layers) {
  TokenPoolOptions options;
  options.phase = params.phase;
  options.other_phase_weight = kOtherPhaseWeight;
  options.max_tokens = budget_.max_tokens;
  pool_ = MakeTokenPool(problem.traffic, {}, options);
  std::iota(all_layers_.begin(), all_layers_.end(), 0);
  starts_.emplace(pool_, problem.topology, caps_.node);
}

std::vector<int> JointSearch::ProbeLayers() const {
  const int layers = problem_.model.moe_layers, want = std::min(budget_.probe_layers, layers);
  std::vector<int> out;
  for (int i = 0; i < want; ++i) {
    out.push_back((2 * i + 1) * layers / (2 * want));
  }
  return out;
}

// The plan in force, made whole, or the linear placement.
Draft JointSearch::StartDraft() const {
  Draft draft;
  draft.placement = problem_.in_force.has_value()
                        ? *problem_.in_force
                        : LinearPlacement(problem_.model, problem_.topology);
  draft.choice = RemoteChoice(problem_.model.moe_layers, problem_.topology.node_count(),
                              problem_.model.experts);
  draft.homes.assign(pool_.requests.size(), NodeId(0));
  for (int l = 0; problem_.in_force.has_value() && l < problem_.model.moe_layers; ++l) {
    const absl::Span<int16_t> row = draft.placement.row(LayerId(l));
    if (!IsComplete(problem_.model.experts, problem_.topology, row)) {
      CompleteRow(GatherLayer(pool_, l, draft.homes, problem_.topology.node_count()),
                  problem_.topology, row);
    }
  }
  return draft;
}

LayerLimits JointSearch::LimitsOf(const LayerTraffic& traffic,
                                  const AnnealSchedule& schedule) const {
  LayerLimits limits;
  limits.load_price = schedule.last_load_price;
  limits.node_load_cap = caps_.node;
  limits.gpu_load_cap = caps_.gpu;
  if (params_.objective == Objective::kBalance) {
    limits.gpu_load_cap = kLevel;
  }
  if (params_.objective == Objective::kLatency) {
    limits.latency = WeightsOf(problem_.model, problem_.topology, *problem_.time_model);
  }
  if (Repairs()) {
    limits.max_moves =
        static_cast<int>(params_.max_moved_fraction * problem_.topology.slot_count());
    limits.move_price = kMovePrice * double(traffic.visit_weight);
  }
  return limits;
}

// Copies by load alone, whatever their homes.
std::vector<int16_t> JointSearch::StartByLoad(const LayerTraffic& traffic) const {
  std::vector<double> load(traffic.experts, 0);
  for (int e = 0; e < traffic.experts; ++e) {
    for (int set = 0; set < traffic.load_sets; ++set) {
      load[e] += double(std::accumulate(traffic.Demand(e, set),
                                        traffic.Demand(e, set) + traffic.nodes, int64_t{0}));
    }
  }
  std::vector<int16_t> row = EplbRow(problem_.model, problem_.topology, load);
  std::vector<int> copies(traffic.experts, 0);
  for (int16_t e : row) {
    if (e != kEmptySlot) {
      ++copies[e];
    }
  }
  const double mean =
      std::accumulate(load.begin(), load.end(), 0.0) / problem_.topology.gpu_count();
  for (int e = 0; e < traffic.experts; ++e) {
    load[e] /= std::max(1, copies[e]);
  }
  LevelBySwaps(problem_.topology, load, kLevel * mean, absl::MakeSpan(row));
  return row;
}

// Returns the layer's cost. Whatever the work, and wherever a stop strikes, it is no more than that
// of the layer's start and of what the draft had.
double JointSearch::PlaceLayer(Draft& draft, LayerId l, int64_t work, int pass, Rng rng,
                               int64_t* iterations) {
  const bool balance = params_.objective == Objective::kBalance;
  if (work > 0 && !balance && Stopped()) {
    return 0;  // nobody compares drafts any more
  }
  const LayerTraffic traffic =
      GatherLayer(pool_, l.value(), draft.homes, problem_.topology.node_count());
  const AnnealSchedule schedule = TableSchedule(problem_, params_, pass, work);
  LayerState layer(traffic, problem_.topology, LimitsOf(traffic, schedule));
  const absl::Span<int16_t> row = draft.placement.row(l), choice = LayerChoice(draft, l);
  layer.Reset(row, choice);
  if (pass > 0 && !balance && !Repairs()) {
    layer.PriceMessages();
  }
  double least = layer.Cost();
  if (balance && !Repairs()) {
    layer.Reset(StartByLoad(traffic), {});
  } else if (pass == 0 && !Repairs()) {
    starts_->ResetToCheapest(l.value(), layer);
    Keep(layer, row, choice, &least);
    if (work == 0) {  // nothing is searched: a first plan
      return least;
    }
  }
  if (Repairs()) {
    layer.SetInForce(problem_.in_force->row(l));
    least = layer.Cost();
  }
  *iterations = balance ? LevelLoads(layer, params_.should_stop)
                        : Anneal(layer, schedule, rng, params_.should_stop);
  Keep(layer, row, choice, &least);
  return least;
}

// Takes the layer as it is searched when it costs less.
void JointSearch::Keep(const LayerState& layer, absl::Span<int16_t> row, absl::Span<int16_t> choice,
                       double* least) const {
  if (layer.Cost() > *least) {
    return;
  }
  *least = layer.Cost();
  // Repairs keep their slots, and what is level needs no packing.
  const bool packed =
      Repairs() || (params_.objective == Objective::kBalance && layer.excess() == 0);
  const std::vector<int16_t> found =
      packed ? std::vector<int16_t>(layer.row().begin(), layer.row().end()) : LevelGpus(layer);
  std::copy(found.begin(), found.end(), row.begin());
  layer.ExportChoice(choice);
}

void JointSearch::Place(Draft& draft, absl::Span<const int> layers, double share_of_work,
                        int pass) {
  // A small layer is searched through long before its share of the work is done. A move costs its
  // proposals and, now and then, an update of the tokens of two experts.
  const double experts = problem_.model.experts;
  const double tokens_of_expert = double(pool_.tokens.size()) * problem_.model.top_k / experts;
  const double enough =
      budget_.tries * problem_.topology.slot_count() * experts * (1 + 0.005 * tokens_of_expert);
  const auto work = static_cast<int64_t>(
      share_of_work * std::min(double(budget_.work) / problem_.model.moe_layers, enough));
  const Rng rng = rng_.Fork(++placements_);
  std::vector<double> cost(layers.size());
  std::vector<int64_t> iterations(layers.size());
  parallel_.Run(static_cast<int>(layers.size()), [&](int i) {
    cost[i] =
        PlaceLayer(draft, LayerId(layers[i]), work, pass, rng.Fork(layers[i]), &iterations[i]);
  });
  draft.cost = std::accumulate(cost.begin(), cost.end(), 0.0);
  iterations_ += std::accumulate(iterations.begin(), iterations.end(), int64_t{0});
}

// Engines that cover pay something else than the table search minimised: from what it found, every
// layer is searched for that, with as much work as for a last placement.
void JointSearch::Cover(Draft& draft) {
  const Rng rng = rng_.Fork(++placements_);
  std::vector<int64_t> iterations(all_layers_.size());
  parallel_.Run(problem_.model.moe_layers,
                [&](int i) { iterations[i] = CoverLayer(draft, LayerId(i), rng.Fork(i)); });
  iterations_ += std::accumulate(iterations.begin(), iterations.end(), int64_t{0});
}

// Leaves the layer as it is where that costs less.
int64_t JointSearch::CoverLayer(Draft& draft, LayerId l, Rng rng) const {
  const LayerTraffic traffic =
      GatherLayer(pool_, l.value(), draft.homes, problem_.topology.node_count());
  const AnnealSchedule schedule =
      CoverSchedule(problem_, params_, budget_.work / problem_.model.moe_layers);
  CoverState layer(traffic, problem_.topology, LimitsOf(traffic, schedule));
  const absl::Span<int16_t> row = draft.placement.row(l), choice = LayerChoice(draft, l);
  layer.Reset(row, choice);
  if (Repairs()) {
    layer.SetInForce(problem_.in_force->row(l));
  }
  const double before = layer.Cost();
  const int64_t iterations = SearchCover(layer, schedule, rng, params_.should_stop);
  if (layer.Cost() <= before) {
    // As in Keep(); and where a GPU is over its limit, a lower peak may be a larger excess.
    const std::vector<int16_t> found =
        Repairs() || layer.excess() > 0
            ? std::vector<int16_t>(layer.row().begin(), layer.row().end())
            : LevelGpus(layer);
    std::copy(found.begin(), found.end(), row.begin());
    layer.ExportChoice(choice);
  }
  return iterations;
}

void JointSearch::Rehome(Draft& draft, absl::Span<const int> layers) const {
  const ServeTable serve(problem_.model, problem_.topology, draft.placement, draft.choice);
  const std::vector<double> cost =
      HomeCosts(pool_, serve, problem_.topology.node_count(), layers, parallel_);
  draft.homes = AssignBalanced(cost, pool_.demand, share_, kHomeSlack);
  draft.home_cost = 0;
  for (size_t r = 0; r < draft.homes.size(); ++r) {
    draft.home_cost += cost[r * share_.size() + draft.homes[r].value()];
  }
}

// Every layer at its start for homes by domain, then homes for that: a whole plan to fall back on
// before anything is searched. No stop cuts it short: it is cheap, and the linear placement saves
// nothing.
Draft JointSearch::FirstDraft() {
  Draft draft = StartDraft();
  draft.homes = HomesByDomain(pool_, share_);
  Place(draft, all_layers_, 0, 0);
  Rehome(draft, all_layers_);
  return draft;
}

// Every start is placed and re-homed on a few layers; the cheapest is kept.
Draft JointSearch::BestStart(const Draft& first) {
  const std::vector<int> probe = ProbeLayers();
  const Signatures signatures = MakeSignatures(pool_, probe);
  Draft best;
  for (int i = 0; i <= budget_.kmeans_starts && !Stopped(); ++i) {
    Draft draft = first;
    draft.homes = i == 0 ? HomesByDomain(pool_, share_)
                         : HomesByKMeans(pool_, signatures, share_, rng_.Fork(1000 + i));
    Place(draft, probe, budget_.round, 0);
    Rehome(draft, probe);
    Place(draft, probe, budget_.round, 1);
    if (best.homes.empty() || draft.cost < best.cost) {
      best = std::move(draft);
    }
  }
  return Stopped() ? first : best;
}

// Places all layers in passes and re-homes in between: wherever a stop strikes, what earlier passes
// found is whole. A repair is homed by the plan in force and stays near it: one pass with all of
// the work, for re-homing brings it nothing.
Draft JointSearch::Search(Draft draft) {
  if (Repairs()) {
    Place(draft, all_layers_, 1, 1);
  }
  for (int pass = 0; pass < budget_.passes && !Repairs() && !Stopped(); ++pass) {
    if (pass > 0) {
      Rehome(draft, all_layers_);
    }
    Place(draft, all_layers_, budget_.pass, pass);
  }
  return draft;
}

// The plan for engines that follow the table.
Draft JointSearch::ForTable() {
  if (Repairs()) {
    Draft draft = StartDraft();
    Rehome(draft, all_layers_);
    return Search(std::move(draft));
  }
  if (params_.objective == Objective::kBalance) {  // homes hardly matter
    Draft draft = StartDraft();
    draft.homes = HomesByDomain(pool_, share_);
    Place(draft, all_layers_, 1, 0);
    return draft;
  }
  const Draft first = FirstDraft();
  Draft draft = Search(BestStart(first));
  if (!Stopped()) {
    return draft;
  }
  // Layers that the first pass did not reach are still as the first draft's homes want them.
  Rehome(draft, all_layers_);
  return first.home_cost < draft.home_cost ? first : draft;
}

SolveResult JointSearch::Run() {
  const bool no_sums =
      std::all_of(pool_.lone_weight.begin(), pool_.lone_weight.end(), [](int w) { return w == 0; });
  if (pool_.tokens.empty() && no_sums) {
    return Finish(StartDraft());
  }
  Draft draft = ForTable();
  // Modelled time is kept up for the table alone.
  if (params_.dispatch == Dispatch::kCover && params_.objective != Objective::kLatency) {
    Cover(draft);
  }
  return Finish(draft);
}

SolveResult JointSearch::Finish(const Draft& draft) {
  SolveResult result;
  result.placement = draft.placement;
  if (problem_.in_force.has_value()) {
    KeepSlots(problem_.topology, *problem_.in_force, result.placement);
  }
  result.remote_choice = draft.choice;
  const ServeTable serve(problem_.model, problem_.topology, result.placement, result.remote_choice);
  result.grouping = FitGrouping(pool_, params_.phase, serve, share_, parallel_);
  SetLoadModel(problem_.topology, problem_.traffic, params_.phase, &result.grouping);
  result.homes.resize(problem_.traffic.requests.size());
  for (size_t r = 0; r < draft.homes.size(); ++r) {
    result.homes[pool_.source[r]] = draft.homes[r];
  }
  result.iterations = iterations_;
  result.termination = placements_ == 0 ? Termination::kNothingToDo
                       : Stopped()      ? Termination::kTimeLimit
                                        : Termination::kBudgetSpent;
  return result;
}

}  // namespace

absl::StatusOr<SolveResult> SolveJoint(const Problem& problem, const SolveParams& params,
                                       ParallelFor& parallel) {
  return JointSearch(problem, params, parallel).Run();
}

}  // namespace advisor
