#include "core/solver/cover_search.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <vector>

#include "core/solver/slot_moves.h"

namespace advisor {
namespace {

constexpr double kImproves = -0.5;  // costs are whole numbers but for priced loads: less is no gain
// What an estimate may be wrong by, as a share of what one expert's tokens weigh on the mean.
constexpr double kSlack = 0.04;
constexpr size_t kBatch = 32;  // candidates priced between two looks at the gains
// Moves carried out before the estimates are made anew. Each makes those of its tokens stale, which
// costs a wrong guess, never a wrong price.
constexpr int kStale = 16;
constexpr int kProposalsPerPoll = 256;  // between two looks at should_stop and two temperatures
constexpr double kAnnealed = 0.85;      // share of the work
// In the units of layer_search.h: a token covered anew, one entered into the estimates, a
// candidate.
constexpr double kWorkPerCover = 0.4;
constexpr double kWorkPerEntry = 0.8;
constexpr double kWorkPerCandidate = 0.8;

// A move with the change of the layer's cost that is expected of it.
struct Candidate {
  double estimate;
  int slot;
  int other;  // a slot to swap with, or slots + an expert to replace the copy by

  friend bool operator<(const Candidate& a, const Candidate& b) {
    return std::tie(a.estimate, a.slot, a.other) < std::tie(b.estimate, b.slot, b.other);
  }
};

// What copies that come and go would change if every other expert of a token stayed where it is
// served. All in token weight, over the tokens that chose e:
//   lose(e, p): visits more without the copy on p;
//   save(e, q): visits fewer with one on q, where the token is anyway;
//   stay(e, p, q): of lose(e, p), what a copy on q takes back when it moves there from p.
class FirstOrder {
 public:
  explicit FirstOrder(const CoverState& state)
      : state_(state),
        nodes_(state.topology().node_count()),
        slots_(state.topology().slot_count()) {}

  void Build();
  // Every move between nodes estimated below `limit`, the best first.
  std::vector<Candidate> Candidates(double limit) const;
  double Swap(int i, int j) const;
  double Replace(int i, int e) const;

 private:
  size_t At(int e, int n) const { return size_t(e) * nodes_ + n; }
  void AddToken(int t);
  double Leaves(int slot, int to) const;
  double LoadDelta(int node, int expert_in, int expert_out, int from) const;

  const CoverState& state_;
  int nodes_, slots_;
  std::vector<int64_t> lose_, save_, stay_;
};

void FirstOrder::Build() {
  const size_t cells = size_t(state_.traffic().experts) * nodes_;
  lose_.assign(cells, 0);
  save_.assign(cells, 0);
  stay_.assign(cells * nodes_, 0);
  for (int t : state_.tokens()) {
    AddToken(t);
  }
}

void FirstOrder::AddToken(int t) {
  const uint64_t* by = state_.by(t);
  const int home = state_.home(t);
  const int64_t weight = state_.traffic().weight[t];
  uint64_t there = uint64_t{1} << home;  // nodes the token is on
  for (int n = 0; n < nodes_; ++n) {
    there |= uint64_t{by[n] != 0} << n;
  }
  for (uint64_t nodes = there; nodes != 0; nodes &= nodes - 1) {
    const int p = std::countr_zero(nodes);
    const bool closes = p != home && std::has_single_bit(by[p]);  // without this expert
    for (uint64_t served = by[p]; served != 0; served &= served - 1) {
      const int e = state_.traffic().Ids(t)[std::countr_zero(served)];
      const uint64_t elsewhere = there & ~(uint64_t{1} << p);
      const bool fallback = state_.holders(e) & elsewhere;
      lose_[At(e, p)] += fallback ? (closes ? -weight : 0) : (closes ? 0 : weight);
      for (uint64_t others = elsewhere; others != 0; others &= others - 1) {
        const int q = std::countr_zero(others);
        if (closes) {
          save_[At(e, q)] += weight;
        } else if (!fallback) {
          stay_[At(e, p) * nodes_ + q] += weight;
        }
      }
    }
  }
}

// Visits more when the copy in `slot` goes to node `to` (-1: away).
double FirstOrder::Leaves(int slot, int to) const {
  const int e = state_.expert_in(slot), p = state_.node_of(slot);
  if (e == kEmptySlot) {
    return 0;
  }
  const bool goes = state_.copies_on(e, p) == 1, comes = to >= 0 && state_.copies_on(e, to) == 0;
  int64_t sum = goes ? lose_[At(e, p)] : 0;
  sum -= comes ? save_[At(e, to)] : 0;
  sum -= goes && comes ? stay_[At(e, p) * nodes_ + to] : 0;
  return double(sum);
}

// Priced excess of `node` when it serves expert_in, as `from` did (-1: for its own tokens), and no
// longer expert_out. Either may be kEmptySlot.
double FirstOrder::LoadDelta(int node, int expert_in, int expert_out, int from) const {
  int64_t sum = 0;
  for (int set = 0; set < state_.traffic().load_sets; ++set) {
    const int64_t now = state_.node_load(set, node), limit = state_.node_limit(set, node);
    int64_t next = now;
    if (expert_in != kEmptySlot && state_.copies_on(expert_in, node) == 0) {
      next += from >= 0 ? state_.served(expert_in, set, from)
                        : state_.traffic().Demand(expert_in, set)[node];
    }
    if (expert_out != kEmptySlot && state_.copies_on(expert_out, node) == 1) {
      next -= state_.served(expert_out, set, node);
    }
    sum += Over(next, limit) - Over(now, limit);
  }
  return state_.load_price() * double(sum);
}

double FirstOrder::Swap(int i, int j) const {
  const int p = state_.node_of(i), q = state_.node_of(j);
  const int e = state_.expert_in(i), f = state_.expert_in(j);
  return Leaves(i, q) + Leaves(j, p) + LoadDelta(q, e, f, p) + LoadDelta(p, f, e, q);
}

double FirstOrder::Replace(int i, int e) const {
  const int n = state_.node_of(i);
  return Leaves(i, -1) - double(save_[At(e, n)]) + LoadDelta(n, e, state_.expert_in(i), -1);
}

std::vector<Candidate> FirstOrder::Candidates(double limit) const {
  std::vector<Candidate> out;
  const auto consider = [&](double estimate, int slot, int other) {
    if (estimate < limit) {
      out.push_back({estimate, slot, other});
    }
  };
  for (int i = 0; i < slots_; ++i) {
    for (int j = i + 1; j < slots_; ++j) {
      if (state_.node_of(i) != state_.node_of(j) && state_.expert_in(i) != state_.expert_in(j)) {
        consider(Swap(i, j), i, j);
      }
    }
    for (int e = 0; IsSpare(state_, i) && e < state_.traffic().experts; ++e) {
      if (state_.copies_on(e, state_.node_of(i)) == 0) {
        consider(Replace(i, e), i, slots_ + e);
      }
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Search {
 public:
  Search(CoverState& state, const AnnealSchedule& schedule, Rng rng,
         const std::function<bool()>& should_stop)
      : state_(state),
        schedule_(schedule),
        rng_(rng),
        should_stop_(should_stop),
        slots_(state.topology().slot_count()),
        weight_(double(std::max<int64_t>(1, state.traffic().visit_weight))),
        slack_(kSlack * weight_ * state.traffic().top_k / state.traffic().experts),
        covered_(state.covered()),
        first_order_(state) {}

  void Anneal();
  void Descend();
  int64_t looked_at() const { return looked_at_; }

 private:
  // Share of the work that is done.
  double Done() const {
    return (double(looked_at_) + kWorkPerCover * double(state_.covered() - covered_) +
            estimating_) /
           double(std::max<int64_t>(1, schedule_.work));
  }
  bool Stopped() const { return should_stop_ && should_stop_(); }
  void Estimate();
  void Step(double limit);
  bool Try(const LayerMove& move, double limit);
  void LevelInside();
  bool TryBatch(absl::Span<const Candidate> batch);

  CoverState& state_;
  const AnnealSchedule schedule_;
  Rng rng_;
  const std::function<bool()>& should_stop_;
  const int slots_;
  const double weight_, slack_;
  const int64_t covered_;
  FirstOrder first_order_;
  int since_estimate_ = 0;  // moves carried out
  double estimating_ = 0;   // work
  int64_t looked_at_ = 0;
};

void Search::Estimate() {
  first_order_.Build();
  estimating_ += double(state_.tokens().size()) * kWorkPerEntry;
  since_estimate_ = 0;
}

bool Search::Try(const LayerMove& move, double limit) {
  double delta;
  if (!IsLegal(state_, move) || !state_.Evaluate(move, limit, &delta)) {
    return false;
  }
  state_.Apply(move);
  ++since_estimate_;
  return true;
}

// Proposes one random move and takes it when it costs less than `limit`.
void Search::Step(double limit) {
  const double promising = limit + slack_;
  const int i = static_cast<int>(rng_.Below(slots_));
  if (IsSpare(state_, i) && rng_.Below(2) == 0) {
    const int e = static_cast<int>(rng_.Below(state_.traffic().experts));
    if (state_.copies_on(e, state_.node_of(i)) == 0 && first_order_.Replace(i, e) < promising) {
      Try(ReplaceCopy(state_, i, e), limit);
    }
    return;
  }
  const int j = static_cast<int>(rng_.Below(slots_));
  if (state_.gpu_of(i) == state_.gpu_of(j) || state_.expert_in(i) == state_.expert_in(j)) {
    return;
  }
  // Inside a node only loads change.
  const bool inside = state_.node_of(i) == state_.node_of(j);
  if (inside ? state_.excess() > 0 : first_order_.Swap(i, j) < promising) {
    Try(SwapSlots(state_, i, j), limit);
  }
}

void Search::Anneal() {
  Estimate();
  for (double progress = Done() / kAnnealed; progress < 1 && !Stopped();
       progress = Done() / kAnnealed) {
    const double temperature =
        weight_ * schedule_.hot * std::pow(schedule_.cold / schedule_.hot, progress);
    state_.set_load_price(
        schedule_.first_load_price *
        std::pow(schedule_.last_load_price / schedule_.first_load_price, progress));
    for (int i = 0; i < kProposalsPerPoll; ++i) {
      Step(-temperature * std::log(1.0 - rng_.Uniform()));
      if (since_estimate_ >= kStale) {
        Estimate();
      }
    }
    looked_at_ += kProposalsPerPoll;
  }
  state_.set_load_price(schedule_.last_load_price);
}

void Search::LevelInside() {
  for (int i = 0; state_.excess() > 0 && i < slots_; ++i) {
    for (int j = i + 1; j < slots_ && state_.node_of(j) == state_.node_of(i); ++j) {
      if (state_.gpu_of(i) != state_.gpu_of(j) && state_.expert_in(i) != state_.expert_in(j)) {
        Try(SwapSlots(state_, i, j), kImproves);
        ++looked_at_;
      }
    }
  }
}

bool Search::TryBatch(absl::Span<const Candidate> batch) {
  bool any = false;
  for (const Candidate& c : batch) {
    if (Done() >= 1 || Stopped()) {
      break;
    }
    ++looked_at_;
    if (c.other < slots_) {
      any |= Try(SwapSlots(state_, c.slot, c.other), kImproves);
    } else if (IsSpare(state_, c.slot)) {
      any |= Try(ReplaceCopy(state_, c.slot, c.other - slots_), kImproves);
    }
  }
  return any;
}

void Search::Descend() {
  for (bool any = true; any && Done() < 1 && !Stopped();) {
    LevelInside();
    Estimate();
    const std::vector<Candidate> candidates = first_order_.Candidates(slack_);
    estimating_ += double(candidates.size()) * kWorkPerCandidate;
    any = false;
    for (size_t at = 0; !any && at < candidates.size() && Done() < 1 && !Stopped(); at += kBatch) {
      any = TryBatch(absl::MakeConstSpan(candidates).subspan(at, kBatch));
    }
  }
  LevelInside();
}

}  // namespace

int64_t SearchCover(CoverState& state, const AnnealSchedule& schedule, Rng rng,
                    const std::function<bool()>& should_stop) {
  Search search(state, schedule, rng, should_stop);
  search.Anneal();
  search.Descend();
  return search.looked_at();
}

}  // namespace advisor
