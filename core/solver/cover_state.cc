#include "core/solver/cover_state.h"

#include <algorithm>
#include <bit>

#include "core/solver/token_bits.h"

namespace advisor {
namespace {

int64_t Share(int64_t served, int copies) { return copies == 0 ? 0 : served / copies; }

}  // namespace

CoverState::CoverState(const LayerTraffic& traffic, const Topology& topology,
                       const LayerLimits& limits)
    : LayerCopies(traffic.experts, topology),
      traffic_(traffic),
      limits_(limits),
      load_limits_(limits, traffic, topology),
      nodes_(topology.node_count()),
      gpus_(topology.gpu_count()),
      sets_(traffic.load_sets) {
  for (int n = 0; n < nodes_; ++n) {
    first_gpu_.push_back(static_cast<int16_t>(topology.first_gpu(NodeId(n)).value()));
  }
  first_gpu_.push_back(static_cast<int16_t>(gpus_));
  ListTokens();
  served_change_.assign(size_t(traffic.experts) * sets_ * nodes_, 0);
  cell_listed_.assign(size_t(traffic.experts) * nodes_, 0);
}

void CoverState::ListTokens() {
  home_.assign(size_t(traffic_.words) * kWordBits, 0);
  sums_ = traffic_.demand;
  for (int h = 0; h < nodes_; ++h) {
    for (int t = traffic_.first_word[h] * kWordBits; t < traffic_.first_word[h + 1] * kWordBits;
         ++t) {
      home_[t] = static_cast<uint8_t>(h);
      if (traffic_.weight[t] > 0) {
        tokens_.push_back(t);
      }
    }
  }
  std::vector<int32_t> count(traffic_.experts, 0);
  for (int t : tokens_) {
    for (int i = 0; i < traffic_.top_k; ++i) {
      ++count[traffic_.Ids(t)[i]];
    }
  }
  first_use_.assign(traffic_.experts + 1, 0);
  for (int e = 0; e < traffic_.experts; ++e) {
    first_use_[e + 1] = first_use_[e] + count[e];
    count[e] = first_use_[e];
  }
  uses_.resize(first_use_.back());
  for (int t : tokens_) {
    for (int i = 0; i < traffic_.top_k; ++i) {
      const int e = traffic_.Ids(t)[i];
      uses_[count[e]++] = {t, i};
      if (traffic_.load_set[t] >= 0) {
        sums_[Cell(e, traffic_.load_set[t], home_[t])] -= traffic_.weight[t];
      }
    }
  }
}

void CoverState::Reset(absl::Span<const int16_t> row, absl::Span<const int16_t> choice) {
  ResetCopies(row);
  choice_.assign(choice.begin(), choice.end());
  if (choice.empty()) {
    choice_.assign(size_t(traffic_.experts) * nodes_, kRingOrder);
  }
  CoverAll();
  SumLoads();
}

void CoverState::CoverAll() {
  const int top_k = traffic_.top_k;
  held_.assign(home_.size() * nodes_, 0);
  by_.assign(held_.size(), 0);
  visits_of_.assign(home_.size(), 0);
  served_.assign(served_change_.size(), 0);
  visits_ = 0;
  for (int t : tokens_) {
    uint64_t* held = &held_[size_t(t) * nodes_];
    uint64_t* by = &by_[size_t(t) * nodes_];
    for (int i = 0; i < top_k; ++i) {
      for (uint64_t on = holders(traffic_.Ids(t)[i]); on != 0; on &= on - 1) {
        held[std::countr_zero(on)] |= uint64_t{1} << i;
      }
    }
    visits_of_[t] = static_cast<uint8_t>(Cover(held, home_[t], by));
    visits_ += int64_t{visits_of_[t]} * traffic_.weight[t];
    const int set = traffic_.load_set[t];
    for (int n = 0; set >= 0 && n < nodes_; ++n) {
      for (uint64_t here = by[n]; here != 0; here &= here - 1) {
        served_[Cell(traffic_.Ids(t)[std::countr_zero(here)], set, n)] += traffic_.weight[t];
      }
    }
  }
  covered_ += static_cast<int64_t>(tokens_.size());
}

// Served positions by node, and the visits. `by` [nodes] is overwritten.
int CoverState::Cover(const uint64_t* held, int home, uint64_t* by) const {
  const int top_k = traffic_.top_k;
  uint64_t left = (top_k == 64 ? ~uint64_t{0} : (uint64_t{1} << top_k) - 1) & ~held[home];
  std::fill(by, by + nodes_, 0);
  by[home] = held[home];
  int visits = 0;
  while (left != 0) {
    int best = home, most = 0;
    const auto look = [&](int n) {
      const int count = std::popcount(left & held[n]);
      best = count > most ? n : best;
      most = std::max(most, count);
    };
    for (int n = home + 1; n < nodes_; ++n) {  // ties in ring order
      look(n);
    }
    for (int n = 0; n < home; ++n) {
      look(n);
    }
    by[best] = left & held[best];
    left &= ~held[best];
    ++visits;
  }
  return visits;
}

int CoverState::ServesSums(int e, int home, uint64_t holders) const {
  return ServingNode(holders, nodes_, home, choice_[size_t(home) * traffic_.experts + e]);
}

void CoverState::SumLoads() {
  node_load_.assign(size_t(sets_) * nodes_, 0);
  gpu_load_.assign(size_t(sets_) * gpus_, 0);
  for (int e = 0; e < traffic_.experts; ++e) {
    for (int h = 0; h < nodes_; ++h) {
      const int n = ServesSums(e, h, holders(e));
      visits_ += n == h ? 0 : traffic_.lone[size_t(e) * nodes_ + h];
      for (int set = 0; set < sets_; ++set) {
        served_[Cell(e, set, n)] += sums_[Cell(e, set, h)];
      }
    }
    for (int set = 0; set < sets_; ++set) {
      for (int n = 0; n < nodes_; ++n) {
        const int64_t served = served_[Cell(e, set, n)];
        node_load_[size_t(set) * nodes_ + n] += served;
        for (int g = first_gpu_[n]; g < first_gpu_[n + 1]; ++g) {
          gpu_load_[size_t(set) * gpus_ + g] += OnGpu(e, g) ? Share(served, copies_on(e, n)) : 0;
        }
      }
    }
  }
  excess_ = Excess(node_load_, load_limits_.node) + Excess(gpu_load_, load_limits_.gpu);
}

bool CoverState::Evaluate(const LayerMove& move, double limit, double* delta) {
  const int moves = MovesDelta(move);
  if (moves > 0 && this->moves() + moves > limits_.max_moves) {
    return false;
  }
  Plan(move);
  visits_delta_ = SumsDelta(move) + CoverChosen(move);
  const double fixed = double(visits_delta_) + limits_.move_price * moves;
  // The most that mended loads can give back.
  if (fixed - limits_.load_price * double(excess_) > limit) {
    return false;
  }
  excess_delta_ = StageLoads(move);
  *delta = fixed + limits_.load_price * double(excess_delta_);
  return *delta <= limit;
}

// Who holds what after the move, and a clean stage.
void CoverState::Plan(const LayerMove& move) {
  toggles_.clear();
  changed_.clear();
  next_held_.clear();
  next_by_.clear();
  next_visits_.clear();
  for (const auto& [e, n] : cells_) {
    cell_listed_[size_t(e) * nodes_ + n] = 0;
    for (int set = 0; set < sets_; ++set) {
      served_change_[Cell(e, set, n)] = 0;
    }
  }
  cells_.clear();
  for (int k = 0; k < move.changes; ++k) {
    const CopyChange& c = move.change[k];
    const uint64_t next = HoldersAfter(c);
    next_holders_[k] = next;
    for (uint64_t flips = next ^ holders(c.expert); flips != 0; flips &= flips - 1) {
      toggles_.push_back({k, std::countr_zero(flips)});
    }
  }
}

// Covers the tokens of the experts whose holders change; returns the visits that adds. The uses of
// both experts are walked side by side, so that a token that chose both is met once.
int64_t CoverState::CoverChosen(const LayerMove& move) {
  absl::Span<const Use> uses[2];
  for (const Toggle& toggle : toggles_) {
    uses[toggle.change] = Uses(move.change[toggle.change].expert);
  }
  int64_t delta = 0;
  size_t at[2] = {0, 0};
  while (at[0] < uses[0].size() || at[1] < uses[1].size()) {
    int token = static_cast<int>(home_.size());
    for (int k = 0; k < 2; ++k) {
      token = at[k] < uses[k].size() ? std::min(token, uses[k][at[k]].token) : token;
    }
    int position[2] = {-1, -1};
    for (int k = 0; k < 2; ++k) {
      if (at[k] < uses[k].size() && uses[k][at[k]].token == token) {
        position[k] = uses[k][at[k]++].position;
      }
    }
    CoverChanged(token, position);
  }
  for (size_t i = 0; i < changed_.size(); ++i) {
    delta += (int64_t{next_visits_[i]} - visits_of_[changed_[i]]) * traffic_.weight[changed_[i]];
  }
  covered_ += static_cast<int64_t>(changed_.size());
  return delta;
}

// Two changes leave a token's cover as it is: a node it is not served on gives up an expert (it was
// not chosen with it and is not without), and a node gains one that the home holds anyway. Those
// only mend `held`, when the move is carried out.
void CoverState::CoverChanged(int token, const int* position) {
  const uint64_t* held = &held_[size_t(token) * nodes_];
  const uint64_t* by = &by_[size_t(token) * nodes_];
  const int home = home_[token];
  bool open = false;
  for (const Toggle& toggle : toggles_) {
    if (position[toggle.change] >= 0) {
      const uint64_t bit = uint64_t{1} << position[toggle.change];
      const bool drops = held[toggle.node] & bit;
      open |= drops ? (by[toggle.node] & bit) != 0 : toggle.node == home || !(held[home] & bit);
    }
  }
  if (!open) {
    return;
  }
  const size_t base = next_held_.size();
  next_held_.insert(next_held_.end(), held, held + nodes_);
  next_by_.resize(base + nodes_);
  for (const Toggle& toggle : toggles_) {
    if (position[toggle.change] >= 0) {
      next_held_[base + toggle.node] ^= uint64_t{1} << position[toggle.change];
    }
  }
  changed_.push_back(token);
  next_visits_.push_back(static_cast<uint8_t>(Cover(&next_held_[base], home, &next_by_[base])));
}

// Activations known only by sums: returns the visits that the move adds.
int64_t CoverState::SumsDelta(const LayerMove& move) {
  int64_t delta = 0;
  for (int k = 0; k < move.changes; ++k) {
    const int e = move.change[k].expert;
    for (int h = 0; next_holders_[k] != holders(e) && h < nodes_; ++h) {
      const int old = ServesSums(e, h, holders(e)), next = ServesSums(e, h, next_holders_[k]);
      if (old == next) {
        continue;
      }
      const int64_t lone = traffic_.lone[size_t(e) * nodes_ + h];
      delta += (next == h ? 0 : lone) - (old == h ? 0 : lone);
      for (int set = 0; set < sets_; ++set) {
        StageCell(e, set, old, -sums_[Cell(e, set, h)]);
        StageCell(e, set, next, sums_[Cell(e, set, h)]);
      }
    }
  }
  return delta;
}

void CoverState::StageCell(int e, int set, int node, int64_t change) {
  served_change_[Cell(e, set, node)] += change;
  if (!cell_listed_[size_t(e) * nodes_ + node]) {
    cell_listed_[size_t(e) * nodes_ + node] = 1;
    cells_.emplace_back(e, node);
  }
}

void CoverState::StageServed(int token, const uint64_t* by) {
  const int set = traffic_.load_set[token];
  const uint64_t* old = &by_[size_t(token) * nodes_];
  for (int n = 0; set >= 0 && n < nodes_; ++n) {
    for (uint64_t moved = by[n] ^ old[n]; moved != 0; moved &= moved - 1) {
      const int i = std::countr_zero(moved);
      const int64_t weight = traffic_.weight[token];
      StageCell(traffic_.Ids(token)[i], set, n, by[n] >> i & 1 ? weight : -weight);
    }
  }
}

// Loads after the move; returns the excess that it adds.
int64_t CoverState::StageLoads(const LayerMove& move) {
  for (size_t i = 0; i < changed_.size(); ++i) {
    StageServed(changed_[i], &next_by_[i * nodes_]);
  }
  // Copies that share a load change even where it does not.
  for (int k = 0; k < move.changes; ++k) {
    for (int slot : {move.change[k].add, move.change[k].drop}) {
      if (slot >= 0) {
        StageCell(move.change[k].expert, 0, node_of(slot), 0);
      }
    }
  }
  node_next_ = node_load_;
  gpu_next_ = gpu_load_;
  for (const auto& [e, n] : cells_) {
    for (int set = 0; set < sets_; ++set) {
      node_next_[size_t(set) * nodes_ + n] += served_change_[Cell(e, set, n)];
    }
    StageGpus(move, e, n);
  }
  return Excess(node_next_, load_limits_.node) + Excess(gpu_next_, load_limits_.gpu) - excess_;
}

// The loads of the GPUs of `node` from expert e.
void CoverState::StageGpus(const LayerMove& move, int e, int node) {
  int gain = -1, lose = -1;  // GPUs
  for (int k = 0; k < move.changes; ++k) {
    const CopyChange& c = move.change[k];
    if (c.expert == e) {
      gain = c.add >= 0 && node_of(c.add) == node ? gpu_of(c.add) : gain;
      lose = c.drop >= 0 && node_of(c.drop) == node ? gpu_of(c.drop) : lose;
    }
  }
  const int before = copies_on(e, node), after = before + (gain >= 0) - (lose >= 0);
  for (int g = first_gpu_[node]; g < first_gpu_[node + 1]; ++g) {
    const bool had = OnGpu(e, g), has = (had && g != lose) || g == gain;
    for (int set = 0; (had || has) && set < sets_; ++set) {
      const int64_t served = served_[Cell(e, set, node)];
      const int64_t next = served + served_change_[Cell(e, set, node)];
      gpu_next_[size_t(set) * gpus_ + g] +=
          (has ? Share(next, after) : 0) - (had ? Share(served, before) : 0);
    }
  }
}

void CoverState::Apply(const LayerMove& move) {
  visits_ += visits_delta_;
  excess_ += excess_delta_;
  node_load_.swap(node_next_);
  gpu_load_.swap(gpu_next_);
  for (const auto& [e, n] : cells_) {
    for (int set = 0; set < sets_; ++set) {
      served_[Cell(e, set, n)] += served_change_[Cell(e, set, n)];
    }
  }
  for (const Toggle& toggle : toggles_) {
    for (const Use& use : Uses(move.change[toggle.change].expert)) {
      held_[size_t(use.token) * nodes_ + toggle.node] ^= uint64_t{1} << use.position;
    }
  }
  for (size_t i = 0; i < changed_.size(); ++i) {
    std::copy_n(&next_by_[i * nodes_], nodes_, &by_[size_t(changed_[i]) * nodes_]);
    visits_of_[changed_[i]] = next_visits_[i];
  }
  ApplyCopies(move);
}

void CoverState::ExportChoice(absl::Span<int16_t> choice) const {
  for (int h = 0; h < nodes_; ++h) {
    for (int e = 0; e < traffic_.experts; ++e) {
      choice[size_t(h) * traffic_.experts + e] =
          holders(e) >> h & 1 ? kRingOrder : static_cast<int16_t>(ServesSums(e, h, holders(e)));
    }
  }
}

}  // namespace advisor
