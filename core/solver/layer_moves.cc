#include <algorithm>
#include <bit>
#include <limits>

#include "core/solver/layer_state.h"
#include "core/solver/token_bits.h"

namespace advisor {
int64_t LayerState::PlanServe(const CopyChange& change, Outcome& out) const {
  const int e = change.expert;
  out.holders = HoldersAfter(change);
  if (MovesLoneCopy(change)) {
    std::fill(out.serve.begin(), out.serve.end(), static_cast<int16_t>(node_of(change.add)));
    return LoneMoveDelta(change);
  }
  if (out.holders == holders(e)) {
    std::copy_n(&serve_[size_t(e) * nodes_], nodes_, out.serve.begin());
    return 0;
  }
  int64_t delta = 0;
  for (int h = 0; h < nodes_; ++h) {
    const int old = serve(e, h);
    if (out.holders >> h & 1) {
      out.serve[h] = static_cast<int16_t>(h);
      delta -= gain(e, h, old);
      continue;
    }
    // The holder that opens the fewest visits; the present one keeps ties.
    const int32_t* gain_of = GainsOf(e, h);
    int best = out.holders >> old & 1 ? old : -1;
    int32_t least = best >= 0 ? gain_of[best] : std::numeric_limits<int32_t>::max();
    for (uint64_t left = out.holders; left != 0; left &= left - 1) {
      const int n = std::countr_zero(left);
      if (gain_of[n] < least) {
        least = gain_of[n];
        best = n;
      }
    }
    out.serve[h] = static_cast<int16_t>(best);
    delta += least - gain_of[old];
  }
  return delta;
}

void LayerState::PlanServed(int e, Outcome& out) const {
  std::fill(out.served.begin(), out.served.end(), 0);
  for (int set = 0; set < sets_; ++set) {
    const int64_t* demand = traffic_.Demand(e, set);
    for (int h = 0; h < nodes_; ++h) {
      out.served[size_t(set) * nodes_ + out.serve[h]] += demand[h];
    }
  }
}

bool LayerState::OverlapMayLower(const LayerMove& move) const {
  for (int h = 0; h < nodes_; ++h) {
    const int pa = serve(move.change[0].expert, h), qa = outcome_[0].serve[h];
    const int pb = serve(move.change[1].expert, h), qb = outcome_[1].serve[h];
    if (pa != qa && pb != qb && (pa == pb || qa == qb)) {
      return true;
    }
  }
  return false;
}

// Tokens of `home` that chose both a and b: a moves pa -> qa, b moves from -> to. The gain table
// priced b's move with a still on pa; what it costs with a on qa, less that.
LayerState::Opened LayerState::OverlapOfHome(int a, int b, int home, int from, int to, int qa,
                                             int pa) const {
  const int to_shift = (to == qa) - (to == pa), from_shift = (from == qa) - (from == pa);
  if (to_shift == 0 && from_shift == 0) {
    return {};
  }
  const uint64_t *chose_a = traffic_.Chose(a), *chose_b = traffic_.Chose(b);
  Opened sum;
  ForTokens(
      traffic_, home, [&](int w) { return chose_a[w] & chose_b[w]; },
      [&](int t) {
        const uint8_t* count = &count_[size_t(t) * nodes_];
        const int opened = to == home ? 0 : (count[to] + to_shift == 0) - (count[to] == 0);
        const int closed = from == home ? 0 : (count[from] + from_shift == 1) - (count[from] == 1);
        sum.to += int64_t{opened} * Priced(home, to, traffic_.weight[t]);
        sum.from -= int64_t{closed} * Priced(home, from, traffic_.weight[t]);
      });
  return sum;
}

int64_t LayerState::Overlap(const LayerMove& move) {
  const int a = move.change[0].expert, b = move.change[1].expert;
  int64_t sum = 0;
  for (int h = 0; h < nodes_; ++h) {
    const int pa = serve(a, h), qa = outcome_[0].serve[h];
    const int pb = serve(b, h), qb = outcome_[1].serve[h];
    if (pa != qa && pb != qb) {
      const Opened opened = OverlapOfHome(a, b, h, pb, qb, qa, pa);
      sum += opened.to + opened.from;
      if (latency_.has_value()) {
        latency_->StageMessage(h, qb, opened.to);
        latency_->StageMessage(h, pb, opened.from);
      }
    }
  }
  return sum;
}

void LayerState::StageLoads(const CopyChange& change, const Outcome& out, int set) {
  const int e = change.expert;
  const int64_t* old_served = &served_[(size_t(e) * sets_ + set) * nodes_];
  const int64_t* new_served = &out.served[size_t(set) * nodes_];
  for (uint64_t left = holders(e) | out.holders; left != 0; left &= left - 1) {
    const int n = std::countr_zero(left);
    node_staged_[n] += new_served[n] - old_served[n];
    touched_nodes_.push_back(n);
  }
  const int add_node = change.add >= 0 ? node_of(change.add) : -1;
  const int drop_node = change.drop >= 0 ? node_of(change.drop) : -1;
  const auto share_after = [&](int n) {
    return Share(new_served[n], copies_on(e, n) + (n == add_node) - (n == drop_node));
  };
  for (const int slot : slots_of(e)) {
    const int n = node_of(slot);
    gpu_staged_[gpu_of(slot)] +=
        (slot == change.drop ? 0 : share_after(n)) - Share(old_served[n], copies_on(e, n));
    touched_gpus_.push_back(gpu_of(slot));
  }
  if (change.add >= 0) {
    gpu_staged_[gpu_of(change.add)] += share_after(add_node);
    touched_gpus_.push_back(gpu_of(change.add));
  }
}

int64_t LayerState::SettleStaged(int set, bool keep) {
  int64_t delta = 0;
  const auto settle = [&](std::vector<int>& touched, std::vector<int64_t>& staged,
                          std::vector<int64_t>& load, const std::vector<int64_t>& limit,
                          size_t base) {
    for (int i : touched) {
      int64_t& now = load[base + i];
      const int64_t next = now + staged[i];
      staged[i] = 0;  // a second mention of i adds nothing
      delta += Over(next, limit[base + i]) - Over(now, limit[base + i]);
      if (keep) {
        now = next;
      } else if (latency_.has_value() && &load == &gpu_load_) {
        latency_->StageGpu(set, i, next - now);
      }
    }
    touched.clear();
  };
  // A second mention must compare against what the first one left, so changes are settled before
  // the next is read.
  settle(touched_nodes_, node_staged_, node_load_, load_limits_.node, size_t(set) * nodes_);
  settle(touched_gpus_, gpu_staged_, gpu_load_, load_limits_.gpu, size_t(set) * gpus_);
  return delta;
}

int64_t LayerState::ExcessDelta(const LayerMove& move) {
  int64_t delta = 0;
  for (int set = 0; set < sets_; ++set) {
    for (int k = 0; k < move.changes; ++k) {
      StageLoads(move.change[k], outcome_[k], set);
    }
    delta += SettleStaged(set, false);
  }
  return delta;
}

bool LayerState::EvaluateInFull(const LayerMove& move, double limit, double* delta) {
  const int moves = MovesDelta(move);
  if (moves > 0 && this->moves() + moves > limits_.max_moves) {
    return false;
  }
  if (latency_.has_value()) {
    return EvaluateLatency(move, moves, limit, delta);
  }
  const double fixed = limits_.move_price * moves;
  const double relief =
      limits_.load_price * double(excess_);  // the most that mended loads can give back
  int64_t visits = 0;
  for (int k = 0; k < move.changes; ++k) {
    visits += PlanServe(move.change[k], outcome_[k]);
  }
  if (move.changes == 2) {
    if (double(visits) + fixed - relief > limit && !OverlapMayLower(move)) {
      return false;
    }
    visits += Overlap(move);
  }
  if (double(visits) + fixed - relief > limit) {
    return false;
  }
  for (int k = 0; k < move.changes; ++k) {
    PlanServed(move.change[k].expert, outcome_[k]);
  }
  *delta = double(visits) + fixed + limits_.load_price * double(ExcessDelta(move));
  return *delta <= limit;
}

void LayerState::StageMessages(int e, const Outcome& out) {
  for (int h = 0; h < nodes_; ++h) {
    const int old = serve(e, h), next = out.serve[h];
    if (old != next) {
      latency_->StageMessage(h, next, gain(e, h, next));
      latency_->StageMessage(h, old, -gain(e, h, old));
    }
  }
}

// Without a way out before loads are known: every part of the cost hangs on them.
bool LayerState::EvaluateLatency(const LayerMove& move, int moves, double limit, double* delta) {
  latency_->Drop();
  for (int k = 0; k < move.changes; ++k) {
    PlanServe(move.change[k], outcome_[k]);
    StageMessages(move.change[k].expert, outcome_[k]);
    PlanServed(move.change[k].expert, outcome_[k]);
  }
  if (move.changes == 2) {
    Overlap(move);
  }
  const double excess = limits_.load_price * double(ExcessDelta(move));
  *delta = latency_->StagedDelta() + limits_.move_price * moves + excess;
  return *delta <= limit;
}

void LayerState::Apply(const LayerMove& move) {
  if (latency_.has_value()) {
    latency_->Keep();
  }
  for (int set = 0; set < sets_; ++set) {
    for (int k = 0; k < move.changes; ++k) {
      StageLoads(move.change[k], outcome_[k], set);
    }
    excess_ += SettleStaged(set, true);
  }
  for (int k = 0; k < move.changes; ++k) {
    const CopyChange& c = move.change[k];
    const Outcome& out = outcome_[k];
    for (int h = 0; h < nodes_; ++h) {
      if (out.serve[h] != serve(c.expert, h)) {
        Reserve(c.expert, h, out.serve[h]);
      }
    }
    std::copy(out.served.begin(), out.served.end(), &served_[size_t(c.expert) * sets_ * nodes_]);
  }
  ApplyCopies(move);
}

int64_t LayerState::EstimateOfSeveral(int e, int from, int to) const {
  const int64_t won = holders(e) >> to & 1 ? 0 : gain(e, to, serve(e, to));
  if (copies_on(e, from) > 1) {
    return -won;
  }
  int64_t lost = gain(e, from, to);
  for (uint64_t left = holders(e) & ~(uint64_t{1} << from); left != 0; left &= left - 1) {
    lost = std::min(lost, gain(e, from, std::countr_zero(left)));
  }
  return lost - won;
}

bool LayerState::EvaluateChoice(int expert, int home, int node, double limit, double* delta) {
  const int64_t visits = gain(expert, home, node) - gain(expert, home, serve(expert, home));
  if (!latency_.has_value() && double(visits) - limits_.load_price * double(excess_) > limit) {
    return false;
  }
  Outcome& out = outcome_[0];
  out.holders = holders(expert);
  std::copy_n(&serve_[size_t(expert) * nodes_], nodes_, out.serve.begin());
  out.serve[home] = static_cast<int16_t>(node);
  PlanServed(expert, out);
  const LayerMove move{{{expert, -1, -1}, {}}, 1};
  if (latency_.has_value()) {
    latency_->Drop();
    StageMessages(expert, out);
  }
  const double excess = limits_.load_price * double(ExcessDelta(move));
  *delta = (latency_.has_value() ? latency_->StagedDelta() : double(visits)) + excess;
  return *delta <= limit;
}

void LayerState::ApplyChoice(int expert, int home, int node) {
  outcome_[0].serve[home] = static_cast<int16_t>(node);
  Apply(LayerMove{{{expert, -1, -1}, {}}, 1});
}

void LayerState::Reserve(int e, int home, int to) {
  const int from = serve(e, home);
  const uint64_t* chose = traffic_.Chose(e);
  const int top_k = traffic_.top_k;
  int32_t *gains = GainsOf(0, home), *opens = opens_.data();
  const auto lone = static_cast<int32_t>(traffic_.lone[size_t(e) * nodes_ + home]);
  visits_ +=
      (to == home ? 0 : Priced(home, to, lone)) - (from == home ? 0 : Priced(home, from, lone));
  // What the co-experts of e see on node n: none of their others is there any more (sign +1), or
  // one is again (-1). Where one of them is left there, it alone sees no other. What e itself gets
  // by the way is taken back at the end.
  int32_t own[2] = {0, 0};
  const auto update = [&](const uint16_t* ids, int left_there, int n, int32_t weight,
                          int32_t* of_own) {
    if (left_there == 0) {
      for (int i = 0; i < top_k; ++i) {
        const size_t cell = size_t(ids[i]) * nodes_ + n;
        gains[cell] += weight;
        opens[cell] += weight;
      }
      *of_own += weight;
      return;
    }
    int i = 0;
    while (ids[i] == e || serve(ids[i], home) != n) {
      ++i;
    }
    const size_t cell = size_t(ids[i]) * nodes_ + n;
    gains[cell] += weight;
    opens[cell] += weight;
  };
  ForTokens(
      traffic_, home, [&](int w) { return chose[w]; },
      [&](int t) {
        uint8_t* count = &count_[size_t(t) * nodes_];
        const uint16_t* ids = traffic_.Ids(t);
        const int32_t opened = Priced(home, to, traffic_.weight[t]);
        const int32_t closed = Priced(home, from, traffic_.weight[t]);
        const int left = --count[from];
        const int had = count[to]++;
        ++touched_;
        if (from != home) {
          visits_ -= left == 0 ? closed : 0;
          if (left <= 1) {
            update(ids, left, from, closed, &own[0]);
          }
        }
        if (to != home) {
          visits_ += had == 0 ? opened : 0;
          if (had <= 1) {
            update(ids, had, to, -opened, &own[1]);
          }
        }
      });
  const size_t cell = size_t(e) * nodes_;
  gains[cell + from] -= own[0];
  opens[cell + from] -= own[0];
  gains[cell + to] -= own[1];
  opens[cell + to] -= own[1];
  serve_[size_t(e) * nodes_ + home] = static_cast<int16_t>(to);
}

}  // namespace advisor
