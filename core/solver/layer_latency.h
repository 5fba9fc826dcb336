#ifndef ADVISOR_CORE_SOLVER_LAYER_LATENCY_H_
#define ADVISOR_CORE_SOLVER_LAYER_LATENCY_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/cost/latency.h"

namespace advisor {

// What a layer search for objective latency minimises: the layer time of core/cost/latency.h, with
// every "largest" replaced by a mean of order 16 over messages, and over GPUs. A maximum would say
// nothing of a move that lowers the second largest; this one falls with every message and load,
// the large ones first, and lies within a factor of count^(1/16) below the maximum. Where there are
// several load sets, their GPUs' times are averaged.
//
// The unit is that of remote visits in token weight, so that temperatures and prices of the search
// mean the same for both objectives: a level layer where half of the tokens visit every other node
// costs as much as one visit a token.
class LayerLatency {
 public:
  struct Scale {
    int nodes = 0, gpus = 0, top_k = 0;
    int64_t token_weight = 0;          // LayerTraffic::visit_weight
    std::vector<int64_t> activations;  // [load_sets] LayerTraffic::total_demand
  };
  LayerLatency(const LatencyWeights& weights, Scale scale);

  // `messages` [home, node], the diagonal is ignored; `gpu_load` [load_sets, gpus].
  void Reset(absl::Span<const int64_t> messages, absl::Span<const int64_t> gpu_load);
  double value() const { return value_; }

  // Changes not yet carried out; several of one cell add up.
  void StageMessage(int home, int node, int64_t more);
  void StageGpu(int set, int gpu, int64_t more);
  double StagedDelta() const;  // of value()
  void Keep();
  void Drop();

 private:
  // Cells whose mean of order 16 is wanted, a change of a few of them being cheap.
  struct Cells {
    std::vector<int64_t> now, staged;
    std::vector<double> power;  // of `now`
    double sum = 0;             // of `power`, from scratch after every change: nothing drifts
    std::vector<int> touched;   // cells with a staged change; may name one twice

    void Reset(absl::Span<const int64_t> values, double scale);
    void Stage(int cell, int64_t more);
    double StagedSum(double scale) const;
    void Keep(double scale);
    void Drop();
  };

  double Value(double message_sum, absl::Span<const double> gpu_sums) const;

  LatencyWeights weights_;
  Scale scale_;
  double unit_ = 1;
  double message_scale_ = 0;       // share of all tokens that one unit of weight is
  std::vector<double> gpu_scale_;  // [load_sets] activations per token that one unit is
  Cells messages_;
  std::vector<Cells> gpus_;           // [load_sets]
  mutable std::vector<double> sums_;  // [load_sets] room for StagedDelta
  double value_ = 0;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_LATENCY_H_
