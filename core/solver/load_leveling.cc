#include "core/solver/load_leveling.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/solver/slot_moves.h"

namespace advisor {
namespace {

// Costs are whole numbers but for priced loads: less is no gain.
constexpr double kLeastGain = 0.5;
// A trade that moves no slot is as good as one that gains so many times as much for one.
constexpr double kFreeMove = 0.01;

int64_t Over(int64_t load, int64_t limit) { return load > limit ? load - limit : 0; }

// Either a move, or another node to serve a home.
struct Trade {
  LayerMove move;
  int expert = -1, home = -1, node = -1;
  double score = -kLeastGain;  // cost per moved slot
};

class Leveling {
 public:
  explicit Leveling(LayerState& state) : state_(state), topology_(state.topology()) {}

  int64_t looked() const { return looked_; }

  // False when no GPU above its limit has a trade that gains.
  bool Step() {
    MeasureSlots();
    MeasureReliefs();
    for (int gpu : HotGpus()) {
      best_.reset();
      MeasureHeat(gpu);
      const int first = topology_.first_slot(GpuId(gpu)).value();
      for (int i = first; i < first + topology_.slots_on(GpuId(gpu)); ++i) {
        LookAt(i, gpu);
      }
      if (best_.has_value()) {
        Take(*best_);
        return true;
      }
    }
    return false;
  }

 private:
  // By falling excess.
  std::vector<int> HotGpus() const {
    std::vector<std::pair<int64_t, int>> order;
    for (int g = 0; g < topology_.gpu_count(); ++g) {
      int64_t over = 0;
      for (int set = 0; set < state_.traffic().load_sets; ++set) {
        over = std::max(over, state_.gpu_load(set, g) - state_.gpu_limit(set, g));
      }
      if (over > 0) {
        order.emplace_back(-over, g);
      }
    }
    std::sort(order.begin(), order.end());
    std::vector<int> gpus;
    for (const auto& entry : order) {
      gpus.push_back(entry.second);
    }
    return gpus;
  }

  // The load set in which `gpu` is furthest above its limit, and by how much.
  void MeasureHeat(int gpu) {
    over_ = 0;
    for (int set = 0; set < state_.traffic().load_sets; ++set) {
      const int64_t over = state_.gpu_load(set, gpu) - state_.gpu_limit(set, gpu);
      if (over > over_) {
        over_ = over;
        set_ = set;
      }
    }
    const int node = topology_.node_of(GpuId(gpu)).value();
    weight_ = state_.node_load(set_, node) > state_.node_limit(set_, node) ? 2 : 1;
  }

  void MeasureSlots() {
    slot_load_.clear();
    for (int set = 0; set < state_.traffic().load_sets; ++set) {
      for (int s = 0; s < topology_.slot_count(); ++s) {
        slot_load_.push_back(state_.slot_load(set, s));
      }
    }
  }
  int64_t LoadOf(int set, int slot) const {
    return slot_load_[size_t(set) * topology_.slot_count() + slot];
  }

  // What the GPUs above their limits would shed were an expert to get one copy more on the node of
  // its copies, by expert and node.
  void MeasureReliefs() {
    const int experts = state_.traffic().experts, nodes = topology_.node_count();
    relief_.assign(size_t(experts) * nodes, 0);
    for (int set = 0; set < state_.traffic().load_sets; ++set) {
      for (int g = 0; g < topology_.gpu_count(); ++g) {
        const int64_t over = Over(state_.gpu_load(set, g), state_.gpu_limit(set, g));
        const int node = topology_.node_of(GpuId(g)).value();
        const int first = topology_.first_slot(GpuId(g)).value();
        for (int s = first; over > 0 && s < first + topology_.slots_on(GpuId(g)); ++s) {
          if (const int e = state_.expert_in(s); e != kEmptySlot) {
            relief_[size_t(e) * nodes + node] +=
                std::min(over, LoadOf(set, s) - state_.share_with(set, e, node, 1));
          }
        }
      }
    }
  }

  // Whether a copy of e in place of what `slot` holds can beat the best trade. Where nobody's node
  // changes this bounds the gain (but for rounding): what e's copies shed and what the slot's GPU
  // does; that other copies of what it held take more is left out. Elsewhere: true.
  bool ReplaceMayBeat(int slot, int e) const {
    const GpuId gpu = topology_.gpu_of(SlotId(slot));
    const int node = topology_.node_of(gpu).value(), dropped = state_.expert_in(slot);
    if (state_.copies_on(e, node) == 0 ||
        (dropped != kEmptySlot && state_.copies_on(dropped, node) < 2)) {
      return true;
    }
    int64_t gain = relief_[size_t(e) * topology_.node_count() + node];
    for (int set = 0; set < state_.traffic().load_sets; ++set) {
      const int64_t load = state_.gpu_load(set, gpu.value());
      const int64_t limit = state_.gpu_limit(set, gpu.value());
      const int64_t next = load - LoadOf(set, slot) + state_.share_with(set, e, node, 1);
      gain += Over(load, limit) - Over(next, limit);
    }
    // A node above its limit is relieved by no trade inside it.
    const double delta = -state_.load_price() * double(gain);
    return delta < -kLeastGain &&
           (!best_.has_value() || Score(delta, ReplaceCopy(state_, slot, e)) < best_->score);
  }

  double Score(double delta, const LayerMove& move) const {
    return delta / std::max(kFreeMove, double(state_.MovesDelta(move)));
  }

  // Whether a swap between two GPUs of one node can beat the best trade. Exact but for
  // the price of moves, at a fraction of LayerState's work: nothing but two GPUs' loads changes.
  bool SwapWithinNodeBeats(int i, int gpu, int j, int other) const {
    double delta = 0;
    for (int set = 0; set < state_.traffic().load_sets; ++set) {
      const int64_t shift = LoadOf(set, i) - LoadOf(set, j);
      const int64_t hot = state_.gpu_load(set, gpu), cool = state_.gpu_load(set, other);
      const int64_t limit = state_.gpu_limit(set, gpu), limit_other = state_.gpu_limit(set, other);
      delta += double(Over(hot - shift, limit) - Over(hot, limit) +
                      Over(cool + shift, limit_other) - Over(cool, limit_other));
    }
    delta *= state_.load_price();
    return delta < -kLeastGain &&
           (!best_.has_value() || Score(delta, SwapSlots(state_, i, j)) < best_->score);
  }

  // Whether taking `load` off the hot GPU for so many moved slots can still beat the best trade:
  // what is taken below the limit gains nothing. Where copies of the same expert are affected too
  // this is an estimate.
  bool SwapMayBeat(int64_t load) const {
    const double most = state_.load_price() * double(std::min(load, over_)) * weight_ / 2;
    return load > 0 && -most < (best_.has_value() ? best_->score : -kLeastGain);
  }

  void LookAt(int i, int gpu) {
    const int a = state_.expert_in(i);
    const int64_t load = LoadOf(set_, i);
    const NodeId node = topology_.node_of(GpuId(gpu));
    for (int j = 0; j < topology_.slot_count(); ++j) {
      const GpuId other = topology_.gpu_of(SlotId(j));
      if (other.value() == gpu || state_.expert_in(j) == a) {
        continue;
      }
      if (SwapMayBeat(load - LoadOf(set_, j)) &&
          (topology_.node_of(other) != node || SwapWithinNodeBeats(i, gpu, j, other.value()))) {
        Consider(SwapSlots(state_, i, j));
      }
      if (a != kEmptySlot && IsSpare(state_, j) && ReplaceMayBeat(j, a)) {
        Consider(ReplaceCopy(state_, j, a));
      }
    }
    for (int e = 0; IsSpare(state_, i) && e < state_.traffic().experts; ++e) {
      if (ReplaceMayBeat(i, e)) {
        Consider(ReplaceCopy(state_, i, e));
      }
    }
    ConsiderChoices(a, topology_.node_of(GpuId(gpu)).value());
  }

  void ConsiderChoices(int a, int node) {
    for (int h = 0; a != kEmptySlot && h < topology_.node_count(); ++h) {
      if (h == node || state_.serve(a, h) != node) {
        continue;
      }
      for (int n = 0; n < topology_.node_count(); ++n) {
        double delta;
        looked_ += 1;
        if (n != node && (state_.holders(a) >> n & 1) &&
            state_.EvaluateChoice(a, h, n, -kLeastGain, &delta)) {
          Keep({{}, a, h, n, delta / kFreeMove});
        }
      }
    }
  }

  void Consider(const LayerMove& move) {
    double delta;
    looked_ += 1;
    if (IsLegal(state_, move) && state_.Evaluate(move, -kLeastGain, &delta)) {
      Keep({move, -1, -1, -1, Score(delta, move)});
    }
  }

  void Keep(const Trade& trade) {
    if (!best_.has_value() || trade.score < best_->score) {
      best_ = trade;
    }
  }

  void Take(const Trade& trade) {
    double delta;
    if (trade.expert >= 0) {
      state_.EvaluateChoice(trade.expert, trade.home, trade.node, 0, &delta);
      state_.ApplyChoice(trade.expert, trade.home, trade.node);
    } else {
      state_.Evaluate(trade.move, 0, &delta);
      state_.Apply(trade.move);
    }
  }

  LayerState& state_;
  const Topology& topology_;
  std::optional<Trade> best_;
  int64_t looked_ = 0;
  std::vector<int64_t> relief_;     // [experts, nodes]
  std::vector<int64_t> slot_load_;  // [load_sets, slots] what each copy serves
  // Of the GPU being relieved:
  int set_ = 0;
  int64_t over_ = 0;
  int weight_ = 1;  // limits that it breaks: its own, and its node's
};

}  // namespace

int64_t LevelLoads(LayerState& state, const std::function<bool()>& should_stop) {
  Leveling leveling(state);
  // Every step lowers the cost by kLeastGain or more: it ends.
  while (!(should_stop && should_stop()) && leveling.Step()) {
  }
  return leveling.looked();
}

}  // namespace advisor
