#ifndef ADVISOR_CORE_SOLVER_COVER_STATE_H_
#define ADVISOR_CORE_SOLVER_COVER_STATE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "core/model/placement.h"
#include "core/model/topology.h"
#include "core/solver/layer_copies.h"
#include "core/solver/layer_limits.h"
#include "core/solver/layer_traffic.h"

namespace advisor {

// One layer as an engine pays for it that covers every token's remote experts with the fewest
// holders (Dispatch::kCover): who holds what, which node serves which expert of which token, and
// what a move would change.
//
// Under a table the serving node depends on expert and home alone, so LayerState prices a move by
// lookups. Here it depends on the token's other experts too: a move is priced by covering anew the
// tokens that chose an expert concerned, some tens of microseconds.
//
// Invariants, between calls, exact in integers:
//   held(t, n), by(t, n): positions of token t's experts that node n holds, and that it serves; the
//   latter as Evaluate() of core/cost covers them, ties included;
//   visits, loads and excess as in LayerState. Activations known only by sums are served at home,
//   else by the remote choice given to Reset() where that node holds a copy, else in ring order.
class CoverState final : public LayerCopies {
 public:
  // `traffic` and `topology` must outlive the state. `limits.latency` is ignored.
  CoverState(const LayerTraffic& traffic, const Topology& topology, const LayerLimits& limits);

  // Starts from a valid placement row; `choice` as in LayerState::Reset().
  void Reset(absl::Span<const int16_t> row, absl::Span<const int16_t> choice);
  void set_load_price(double price) { limits_.load_price = price; }

  // True and `delta` when the move costs less than `limit`. The move must be legal: see Legal().
  bool Evaluate(const LayerMove& move, double limit, double* delta);
  // Carries out the move that the last Evaluate() returned true for.
  void Apply(const LayerMove& move);

  int64_t visits() const { return visits_; }
  int64_t excess() const { return excess_; }
  double load_price() const { return limits_.load_price; }
  double Cost() const {
    return double(visits_) + limits_.load_price * double(excess_) + limits_.move_price * moves();
  }
  int64_t served(int e, int set, int node) const { return served_[Cell(e, set, node)]; }
  int64_t node_load(int set, int node) const { return node_load_[size_t(set) * nodes_ + node]; }
  int64_t gpu_load(int set, int gpu) const { return gpu_load_[size_t(set) * gpus_ + gpu]; }
  int64_t node_limit(int set, int node) const {
    return load_limits_.node[size_t(set) * nodes_ + node];
  }
  int64_t covered() const { return covered_; }  // tokens covered so far: what this costs
  const LayerTraffic& traffic() const { return traffic_; }

  // Whole tokens, by index into the traffic.
  absl::Span<const int32_t> tokens() const { return tokens_; }
  int home(int token) const { return home_[token]; }
  // [nodes] masks of positions.
  const uint64_t* by(int token) const { return &by_[size_t(token) * nodes_]; }

  // [nodes, experts]: what serves activations known only by sums; kRingOrder where the home holds
  // a copy.
  void ExportChoice(absl::Span<int16_t> choice) const;

 private:
  // A token that chose an expert.
  struct Use {
    int32_t token;
    int32_t position;  // among the token's experts
  };
  // A node that begins or ceases to hold an expert.
  struct Toggle {
    int change;  // index into the move
    int node;
  };

  size_t Cell(int e, int set, int node) const { return (size_t(e) * sets_ + set) * nodes_ + node; }
  absl::Span<const Use> Uses(int e) const {
    return absl::MakeConstSpan(uses_).subspan(first_use_[e], first_use_[e + 1] - first_use_[e]);
  }
  void ListTokens();
  void CoverAll();
  void SumLoads();
  int Cover(const uint64_t* held, int home, uint64_t* by) const;
  int ServesSums(int e, int home, uint64_t holders) const;
  void Plan(const LayerMove& move);
  int64_t CoverChosen(const LayerMove& move);
  void CoverChanged(int token, const int* position);
  void StageServed(int token, const uint64_t* by);
  int64_t SumsDelta(const LayerMove& move);
  void StageCell(int e, int set, int node, int64_t change);
  int64_t StageLoads(const LayerMove& move);
  void StageGpus(const LayerMove& move, int e, int node);

  const LayerTraffic& traffic_;
  LayerLimits limits_;
  const LoadLimits load_limits_;
  int nodes_, gpus_, sets_;

  std::vector<int16_t> first_gpu_;  // [nodes + 1]
  std::vector<int32_t> tokens_;     // those with weight
  std::vector<uint8_t> home_;       // [tokens]
  std::vector<Use> uses_;           // by expert, then token
  std::vector<int32_t> first_use_;  // [experts + 1]
  std::vector<int64_t> sums_;       // [experts, load_sets, nodes (home)] demand known by sums

  std::vector<int16_t> choice_;                // [nodes (home), experts]
  std::vector<uint64_t> held_, by_;            // [tokens, nodes]
  std::vector<uint8_t> visits_of_;             // [tokens]
  std::vector<int64_t> served_;                // [experts, load_sets, nodes]
  std::vector<int64_t> node_load_, gpu_load_;  // [load_sets, nodes], [load_sets, gpus]
  int64_t visits_ = 0, excess_ = 0, covered_ = 0;

  // What the last Evaluate() worked out for Apply().
  std::vector<Toggle> toggles_;
  uint64_t next_holders_[2] = {0, 0};
  std::vector<int32_t> changed_;               // tokens covered anew
  std::vector<uint64_t> next_held_, next_by_;  // [changed, nodes]
  std::vector<uint8_t> next_visits_;           // [changed]
  std::vector<int64_t> served_change_;         // shape of served_; 0 but for the cells below
  std::vector<std::pair<int, int>> cells_;     // (expert, node), each once
  std::vector<uint8_t> cell_listed_;           // [experts, nodes]
  std::vector<int64_t> node_next_, gpu_next_;  // loads after the move
  int64_t visits_delta_ = 0, excess_delta_ = 0;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_COVER_STATE_H_
