#include "core/solver/layer_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "core/solver/slot_moves.h"

namespace advisor {
namespace {

constexpr int kProposalsPerPoll =
    1024;  // between two looks at should_stop and two steps of the temperature
constexpr double kImproves = -0.5;  // costs are whole numbers but for priced loads: less is no gain

int GpuOf(const LayerState& state, int slot) {
  return state.topology().gpu_of(SlotId(slot)).value();
}

// What a move may cost: the temperature times a standard exponential draw. Most moves cost more
// than it can be, and need no logarithm.
class Limit {
 public:
  // `uniform`: in [0, 1).
  Limit(double temperature, double uniform) : temperature_(temperature), left_(1 - uniform) {}

  double value() const { return -temperature_ * std::log(left_); }
  // No less: -log(x) of an x from 2^-k on is at most k log(2).
  double AtMost() const {
    constexpr int kMantissaBits = 52, kExponentOfOne = 1023;
    const auto exponent = static_cast<int>(std::bit_cast<uint64_t>(left_) >> kMantissaBits);
    return temperature_ * std::numbers::ln2 * (kExponentOfOne - exponent);
  }

 private:
  double temperature_, left_;
};

class Walk {
 public:
  Walk(LayerState& state, int candidates, Rng rng)
      : state_(state), candidates_(candidates), rng_(rng), slots_(state.topology().slot_count()) {}

  // Proposes one random move and takes it when it costs less than `limit`.
  void Step(const Limit& limit) {
    const int i = static_cast<int>(rng_.Below(slots_));
    if (IsSpare(state_, i) && rng_.Below(2) == 0) {
      if (rng_.Below(4) == 0) {
        StepChoice(i, limit);
      } else {
        TryMove(ReplaceCopy(state_, i, static_cast<int>(rng_.Below(state_.traffic().experts))),
                limit);
      }
      return;
    }
    const int j = candidates_ > 1 ? Partner(i) : static_cast<int>(rng_.Below(slots_));
    if (GpuOf(state_, i) != GpuOf(state_, j) && state_.expert_in(i) != state_.expert_in(j)) {
      TryMove(SwapSlots(state_, i, j), limit);
    }
  }

 private:
  // Slot j holding what its node loses least by giving to the node of i: the best of `candidates`
  // side by side, on the best of a few nodes for what i holds.
  int Partner(int i) {
    constexpr int kNodeDraws = 3;
    const int p = state_.node_of(i);
    int j = static_cast<int>(rng_.Below(slots_));
    if (state_.node_of(j) == p) {
      return j;
    }
    for (int draw = 1; draw < kNodeDraws; ++draw) {
      const int other = static_cast<int>(rng_.Below(slots_));
      if (state_.node_of(other) != p && Estimate(i, other) < Estimate(i, j)) {
        j = other;
      }
    }
    const NodeId q(state_.node_of(j));
    const Topology& topology = state_.topology();
    const int first = topology.first_slot(topology.first_gpu(q)).value();
    const int slots = topology.slots_on(q);
    int best = j;
    int64_t least = Estimate(j, i);
    for (int k = 1; k < std::min(candidates_, slots); ++k) {
      const int at = first + (j - first + k) % slots;
      if (const int64_t cost = Estimate(at, i); cost < least) {
        least = cost;
        best = at;
      }
    }
    return best;
  }
  // Of moving what slot `from` holds to the node of slot `to`.
  int64_t Estimate(int from, int to) const {
    const int e = state_.expert_in(from);
    return e == kEmptySlot ? 0 : state_.MoveEstimate(e, state_.node_of(from), state_.node_of(to));
  }
  void TryMove(const LayerMove& move, const Limit& limit) {
    double delta;
    if (IsLegal(state_, move) && state_.MayCost(move, limit.AtMost()) &&
        state_.Evaluate(move, limit.value(), &delta)) {
      state_.Apply(move);
    }
  }
  // Lets a random home be served on the node of slot i.
  void StepChoice(int i, const Limit& limit) {
    const int e = state_.expert_in(i);
    const int home = static_cast<int>(rng_.Below(state_.topology().node_count()));
    if (e == kEmptySlot || (state_.holders(e) >> home & 1)) {
      return;
    }
    const int node = state_.topology().node_of(SlotId(i)).value();
    double delta;
    if (state_.serve(e, home) != node &&
        state_.EvaluateChoice(e, home, node, limit.value(), &delta)) {
      state_.ApplyChoice(e, home, node);
    }
  }

  LayerState& state_;
  int candidates_;
  Rng rng_;
  uint32_t slots_;
};

// One pass of Descend over all moves; counts what it tries and whether anything was gained.
class Sweep {
 public:
  explicit Sweep(LayerState& state) : state_(state), slots_(state.topology().slot_count()) {}

  bool Slot(int i, int64_t* proposals) {
    improved_ = false;
    for (int j = i + 1; j < slots_; ++j) {
      if (GpuOf(state_, i) != GpuOf(state_, j) && state_.expert_in(i) != state_.expert_in(j)) {
        Try(SwapSlots(state_, i, j));
      }
    }
    *proposals += slots_ - i;
    if (IsSpare(state_, i)) {
      for (int e = 0; e < state_.traffic().experts && IsSpare(state_, i); ++e) {
        Try(ReplaceCopy(state_, i, e));
      }
      *proposals += state_.traffic().experts;
      Choices(i);
    }
    return improved_;
  }

 private:
  void Try(const LayerMove& move) {
    double delta;
    if (IsLegal(state_, move) && state_.Evaluate(move, kImproves, &delta)) {
      state_.Apply(move);
      improved_ = true;
    }
  }
  void Choices(int i) {
    const int e = state_.expert_in(i);
    const int node = state_.topology().node_of(SlotId(i)).value();
    for (int h = 0; e != kEmptySlot && h < state_.topology().node_count(); ++h) {
      double delta;
      if (!(state_.holders(e) >> h & 1) && state_.serve(e, h) != node &&
          state_.EvaluateChoice(e, h, node, kImproves, &delta)) {
        state_.ApplyChoice(e, h, node);
        improved_ = true;
      }
    }
  }

  LayerState& state_;
  int slots_;
  bool improved_ = false;
};

}  // namespace

int64_t Descend(LayerState& state, int64_t work, const std::function<bool()>& should_stop) {
  Sweep sweep(state);
  const int slots = state.topology().slot_count();
  const int64_t touched = state.touched();
  int64_t proposals = 0;
  // Ends when a whole round of slots brought nothing.
  for (int i = 0, idle = 0; idle < slots; i = (i + 1) % slots) {
    idle = sweep.Slot(i, &proposals) ? 0 : idle + 1;
    if (double(proposals) + kWorkPerToken * double(state.touched() - touched) > double(work) ||
        (should_stop && should_stop())) {
      break;
    }
  }
  return proposals;
}

int64_t Anneal(LayerState& state, const AnnealSchedule& schedule, Rng rng,
               const std::function<bool()>& should_stop) {
  Walk walk(state, schedule.candidates, rng.Fork(1));
  Rng chance = rng.Fork(2);
  const double weight = std::max<double>(1, double(state.traffic().visit_weight));
  const int64_t touched = state.touched();
  const double cost = 1 + kWorkPerCandidate * (schedule.candidates - 1);
  int64_t proposals = 0;
  const auto done = [&] {
    return (cost * double(proposals) + kWorkPerToken * double(state.touched() - touched)) /
           double(schedule.work);
  };
  for (double progress = 0; schedule.work > 0 && progress < 1; progress = done()) {
    if (should_stop && should_stop()) {
      break;
    }
    const double temperature =
        weight * schedule.hot * std::pow(schedule.cold / schedule.hot, progress);
    state.set_load_price(schedule.first_load_price *
                         std::pow(schedule.last_load_price / schedule.first_load_price, progress));
    for (int i = 0; i < kProposalsPerPoll; ++i) {
      walk.Step(Limit(temperature, chance.Uniform()));
    }
    proposals += kProposalsPerPoll;
  }
  state.set_load_price(schedule.last_load_price);
  return proposals + Descend(state, std::max<int64_t>(schedule.work / 4, 1000), should_stop);
}

}  // namespace advisor
