#ifndef ADVISOR_CORE_SOLVER_LAYER_STATE_H_
#define ADVISOR_CORE_SOLVER_LAYER_STATE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/model/placement.h"
#include "core/model/topology.h"
#include "core/solver/layer_copies.h"
#include "core/solver/layer_latency.h"
#include "core/solver/layer_limits.h"
#include "core/solver/layer_traffic.h"

namespace advisor {

// One layer under search: who holds what, who serves whom, and what changing that would cost.
//
// A token of home h visits the distinct nodes, other than h, that serve its experts: one message
// per node (de-duplicating dispatch). The gain table makes every change of one expert a lookup:
//   gain(e, h, n) = weight of the tokens of home h that chose e and of whose OTHER experts none is
//   served on n  (0 for n = h)
// Serving e on q instead of p for home h changes the visits by exactly gain(e, h, q) - gain(e, h,
// p). A visit counts what PriceMessages() says, by home and node; at first one. Where two experts
// change at once, tokens that chose both need a correction, taken over the intersection of their
// bitsets.
//
// Invariants, between calls:
//   serve(e, h) = h where h holds a copy, else a holder;
//   count(t, n) = experts of token t served on n; visits = sum of weight x |{n != home: count(t, n)
//   > 0}|; served(e, set, n) = demand for e of the homes that n serves; a node's load is the sum
//   over e; a GPU's is the sum over its experts of served / copies on the node. All of them
//   integers, so that nothing drifts.
class LayerState final : public LayerCopies {
 public:
  // `traffic` and `topology` must outlive the state.
  LayerState(const LayerTraffic& traffic, const Topology& topology, const LayerLimits& limits);

  // Starts from a valid placement row; `choice` [nodes, experts] as in RemoteChoice, or empty: ring
  // order.
  void Reset(absl::Span<const int16_t> row, absl::Span<const int16_t> choice);
  void set_load_price(double price) { limits_.load_price = price; }
  // Kernels that pad pay for the largest message, so visits between a home and a node that have
  // much more to say to each other than others cost more from now on: 1 + x - 1.5 where their
  // message is x > 1.5 times the layer's mean, at most 2. Without effect on modelled time, which
  // knows its messages.
  void PriceMessages();

  // True and `delta` (visits in token weight or what LayerLatency makes of them, plus priced excess
  // and moves) when the change costs less than `limit`. The move must be legal: see Legal().
  bool Evaluate(const LayerMove& move, double limit, double* delta) {
    return MayCost(move, limit) && EvaluateInFull(move, limit, delta);
  }
  // False: the move costs more than `limit`, as most do. True: who knows.
  bool MayCost(const LayerMove& move, double limit) const {
    NeedTables();
    return !LoneSwapExceeds(move, limit);
  }
  // Carries out the move that the last Evaluate() saw.
  void Apply(const LayerMove& move);
  // Serving `expert` on holder `node` for tokens of `home`, which holds no copy.
  bool EvaluateChoice(int expert, int home, int node, double limit, double* delta);
  void ApplyChoice(int expert, int home, int node);

  int serve(int e, int home) const { return serve_[size_t(e) * nodes_ + home]; }
  // What a visit of a token of `weight` costs.
  int32_t Priced(int home, int node, int32_t weight) const {
    return static_cast<int32_t>(int64_t{weight} * price_[size_t(home) * nodes_ + node] /
                                kPriceUnit);
  }
  int64_t visits() const { return visits_; }
  int64_t excess() const { return excess_; }
  double Cost() const {
    const double traffic = latency_.has_value() ? latency_->value() : double(visits_);
    return traffic + limits_.load_price * double(excess_) + limits_.move_price * moves();
  }
  int64_t gain(int e, int home, int node) const {
    NeedTables();
    return GainsOf(e, home)[node];
  }
  // About the visits that e costs more with its copy on `from` moved to node `to`, whatever else is
  // moved: exact for an expert of one copy; of several, what the two nodes themselves win and lose.
  int64_t MoveEstimate(int e, int from, int to) const {
    NeedTables();
    const int32_t* opens = &opens_[size_t(e) * nodes_];
    return copies(e) == 1 ? opens[to] - opens[from] : EstimateOfSeveral(e, from, to);
  }
  int64_t node_load(int set, int node) const { return node_load_[size_t(set) * nodes_ + node]; }
  int64_t gpu_load(int set, int gpu) const { return gpu_load_[size_t(set) * gpus_ + gpu]; }
  // What the copy in `slot` serves.
  int64_t slot_load(int set, int slot) const {
    const int e = expert_in(slot), n = node_of(slot);
    return e == kEmptySlot
               ? 0
               : Share(served_[(size_t(e) * sets_ + set) * nodes_ + n], copies_on(e, n));
  }
  // What a copy of e on `node` would serve with `more` copies beside it there.
  int64_t share_with(int set, int e, int node, int more) const {
    return Share(served_[(size_t(e) * sets_ + set) * nodes_ + node], copies_on(e, node) + more);
  }
  double load_price() const { return limits_.load_price; }
  int64_t node_limit(int set, int node) const {
    return load_limits_.node[size_t(set) * nodes_ + node];
  }
  int64_t gpu_limit(int set, int gpu) const { return load_limits_.gpu[size_t(set) * gpus_ + gpu]; }
  int64_t touched() const { return touched_; }  // tokens updated so far: what Apply costs
  const LayerTraffic& traffic() const { return traffic_; }

  // [nodes, experts]: the node that serves each expert, kRingOrder where the home holds it.
  void ExportChoice(absl::Span<int16_t> choice) const;

 private:
  // The outcome of a change for one expert, worked out by Evaluate and carried out by Apply.
  struct Outcome {
    uint64_t holders = 0;
    std::vector<int16_t> serve;   // [nodes (home)]
    std::vector<int64_t> served;  // [load_sets, nodes]
  };

  // By node. A move of the search looks at all homes of two experts, but what is carried out
  // touches, home by home, most experts.
  int32_t* GainsOf(int e, int home) const {
    return &gain_[(size_t(home) * traffic_.experts + e) * nodes_];
  }
  void SumVisits();
  // The tables are most of what a Reset() would cost, and a layer that is only priced, as one of
  // several starts, needs none.
  void NeedTables() const {
    if (!tables_known_) {
      BuildTables();
      tables_known_ = true;
    }
  }
  void BuildTables() const;
  template <int kNodes>
  void AddTokensToTables(int home) const;
  void SumLoads();
  // The expert's only copy goes elsewhere, and with it what every home is served by.
  bool MovesLoneCopy(const CopyChange& change) const {
    return change.add >= 0 && change.drop >= 0 && copies(change.expert) == 1;
  }
  int64_t LoneMoveDelta(const CopyChange& change) const {
    const int32_t* opens = &opens_[size_t(change.expert) * nodes_];
    return opens[node_of(change.add)] - opens[node_of(change.drop)];
  }
  // What most proposals end at. Of two experts of one copy each that swap nodes neither is where
  // the other was or will be, for any home: what the two save apart is the most that they save
  // together.
  bool LoneSwapExceeds(const LayerMove& move, double limit) const {
    const CopyChange &a = move.change[0], &b = move.change[1];
    if (latency_.has_value() || move.changes != 2 || !MovesLoneCopy(a) || !MovesLoneCopy(b) ||
        a.add != b.drop || b.add != a.drop) {
      return false;
    }
    return double(LoneMoveDelta(a) + LoneMoveDelta(b)) + limits_.move_price * MovesDelta(move) -
               limits_.load_price * double(excess_) >
           limit;
  }
  bool EvaluateInFull(const LayerMove& move, double limit, double* delta);
  int64_t EstimateOfSeveral(int e, int from, int to) const;
  int64_t PlanServe(const CopyChange& change, Outcome& out) const;
  int64_t Overlap(const LayerMove& move);
  // What a correction adds to the messages of one home.
  struct Opened {
    int64_t to = 0;    // to the node that now serves
    int64_t from = 0;  // to the one that served, less
  };
  Opened OverlapOfHome(int a, int b, int home, int from, int to, int qa, int pa) const;
  bool OverlapMayLower(const LayerMove& move) const;
  int64_t ExcessDelta(const LayerMove& move);
  bool EvaluateLatency(const LayerMove& move, int moves, double limit, double* delta);
  void StageMessages(int e, const Outcome& out);
  void StageLoads(const CopyChange& change, const Outcome& out, int set);
  int64_t SettleStaged(int set, bool keep);
  void Reserve(int e, int home, int to);
  void PlanServed(int e, Outcome& out) const;
  int64_t Share(int64_t served, int copies) const {
    return copies == 1 ? served : copies == 0 ? 0 : served / copies;
  }

  static constexpr int kPriceUnit = 64;

  const LayerTraffic& traffic_;
  LayerLimits limits_;
  const LoadLimits load_limits_;
  int nodes_, gpus_, sets_;

  std::vector<int32_t> price_;          // [nodes (home), nodes] of a visit, in kPriceUnit
  std::vector<int16_t> serve_;          // [experts, nodes (home)]
  mutable std::vector<uint8_t> count_;  // [tokens, nodes]; see NeedTables()
  mutable std::vector<int32_t> gain_;   // [nodes (home), experts, nodes]; the same, as below
  mutable std::vector<int32_t> opens_;  // [experts, nodes] gain() summed over the homes
  mutable bool tables_known_ = false;
  std::vector<int64_t> served_;                // [experts, load_sets, nodes]
  std::vector<int64_t> node_load_, gpu_load_;  // [load_sets, nodes], [load_sets, gpus]
  std::vector<int64_t> messages_;  // [nodes (home), nodes] visits, unpriced, of the last Reset()
  int64_t visits_ = 0, excess_ = 0, touched_ = 0;

  // Objective latency. What the last Evaluate() saw stays staged in it for Apply().
  std::optional<LayerLatency> latency_;
  Outcome outcome_[2];
  std::vector<int64_t> node_staged_, gpu_staged_;  // all 0 between calls
  std::vector<int> touched_nodes_, touched_gpus_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_STATE_H_
