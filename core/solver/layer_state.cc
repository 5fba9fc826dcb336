#include "core/solver/layer_state.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/solver/token_bits.h"

namespace advisor {
namespace {

int64_t Over(int64_t load, int64_t limit) { return load > limit ? load - limit : 0; }

}  // namespace

LayerState::LayerState(const LayerTraffic& traffic, const Topology& topology,
                       const LayerLimits& limits)
    : traffic_(traffic),
      topology_(topology),
      limits_(limits),
      nodes_(topology.node_count()),
      gpus_(topology.gpu_count()),
      sets_(traffic.load_sets) {
  for (int s = 0; s < topology.slot_count(); ++s) {
    node_of_slot_.push_back(static_cast<int16_t>(topology.node_of(SlotId(s)).value()));
    gpu_of_slot_.push_back(static_cast<int16_t>(topology.gpu_of(SlotId(s)).value()));
  }
  SetLimits();
  if (limits.latency.has_value()) {
    latency_.emplace(*limits.latency, LayerLatency::Scale{nodes_, gpus_, traffic.top_k,
                                                          traffic.visit_weight,
                                                          traffic.total_demand});
  }
  node_staged_.assign(nodes_, 0);
  gpu_staged_.assign(gpus_, 0);
  for (Outcome& outcome : outcome_) {
    outcome.serve.resize(nodes_);
    outcome.served.resize(size_t(sets_) * nodes_);
  }
}

void LayerState::SetLimits() {
  for (int set = 0; set < sets_; ++set) {
    const double mean = double(traffic_.total_demand[set]) / gpus_;
    for (int n = 0; n < nodes_; ++n) {
      node_limit_.push_back(
          static_cast<int64_t>(limits_.node_load_cap * mean * topology_.gpus_on(NodeId(n))));
    }
    gpu_limit_.insert(gpu_limit_.end(), gpus_, static_cast<int64_t>(limits_.gpu_load_cap * mean));
  }
}

void LayerState::Reset(absl::Span<const int16_t> row, absl::Span<const int16_t> choice) {
  const int experts = traffic_.experts;
  row_.assign(row.begin(), row.end());
  holders_.assign(experts, 0);
  copies_.assign(experts, 0);
  slots_of_.assign(size_t(experts) * gpus_, -1);
  copies_on_.assign(size_t(experts) * nodes_, 0);
  on_gpu_.assign(size_t(experts) * gpus_, 0);
  for (size_t s = 0; s < row_.size(); ++s) {
    const int e = row_[s];
    if (e == kEmptySlot) {
      continue;
    }
    holders_[e] |= uint64_t{1} << node_of_slot_[s];
    slots_of_[size_t(e) * gpus_ + copies_[e]++] = static_cast<int16_t>(s);
    ++copies_on_[size_t(e) * nodes_ + node_of_slot_[s]];
    on_gpu_[size_t(e) * gpus_ + gpu_of_slot_[s]] = 1;
  }
  serve_.resize(size_t(experts) * nodes_);
  for (int e = 0; e < experts; ++e) {
    for (int h = 0; h < nodes_; ++h) {
      const int chosen = choice.empty() ? kRingOrder : choice[size_t(h) * experts + e];
      int n = h;
      if (chosen != kRingOrder && !(holders_[e] >> h & 1) && (holders_[e] >> chosen & 1)) {
        n = chosen;
      }
      while (!(holders_[e] >> n & 1)) {
        n = (n + 1) % nodes_;
      }
      serve_[size_t(e) * nodes_ + h] = static_cast<int16_t>(n);
    }
  }
  moves_ = 0;
  SetInForce({});
  SumVisits();
  tables_known_ = false;
  SumLoads();
  if (latency_.has_value()) {
    latency_->Reset(messages_, gpu_load_);
  }
}

void LayerState::SetInForce(absl::Span<const int16_t> row) {
  in_force_.clear();
  moves_ = 0;
  if (row.empty()) {
    return;
  }
  in_force_.assign(size_t(traffic_.experts) * gpus_, 0);
  for (size_t s = 0; s < row.size(); ++s) {
    if (row[s] != kEmptySlot) {
      in_force_[size_t(row[s]) * gpus_ + gpu_of_slot_[s]] = 1;
    }
  }
  for (size_t s = 0; s < row_.size(); ++s) {
    moves_ += row_[s] != kEmptySlot && !in_force_[size_t(row_[s]) * gpus_ + gpu_of_slot_[s]];
  }
}

// By token rather than by expert, here and below: what a token needs lies together.
void LayerState::SumVisits() {
  messages_.assign(size_t(nodes_) * nodes_, 0);
  std::vector<uint64_t> visit(traffic_.experts);  // the node to visit for an expert; 0: at home
  for (int h = 0; h < nodes_; ++h) {
    int64_t* message = &messages_[size_t(h) * nodes_];
    for (int e = 0; e < traffic_.experts; ++e) {
      const int n = serve(e, h);
      visit[e] = n == h ? 0 : uint64_t{1} << n;
      message[n] += n == h ? 0 : traffic_.lone[size_t(e) * nodes_ + h];
    }
    for (int t = FirstToken(traffic_, h); t < FirstToken(traffic_, h + 1); ++t) {
      const uint16_t* ids = traffic_.Ids(t);
      uint64_t visited = 0;
      for (int i = 0; i < traffic_.top_k; ++i) {
        visited |= visit[ids[i]];
      }
      for (; visited != 0; visited &= visited - 1) {
        message[std::countr_zero(visited)] += traffic_.weight[t];
      }
    }
  }
  visits_ = std::accumulate(messages_.begin(), messages_.end(), int64_t{0});
}

void LayerState::BuildTables() const {
  count_.assign(size_t(traffic_.words) * kWordBits * nodes_, 0);
  gain_.assign(size_t(traffic_.experts) * nodes_ * nodes_, 0);
  std::vector<int32_t> opens(nodes_);  // what one more expert of the token on a node would add
  for (int h = 0; h < nodes_; ++h) {
    for (int t = FirstToken(traffic_, h); t < FirstToken(traffic_, h + 1); ++t) {
      const uint16_t* ids = traffic_.Ids(t);
      const int32_t weight = traffic_.weight[t];
      uint8_t* count = &count_[size_t(t) * nodes_];
      for (int i = 0; i < traffic_.top_k; ++i) {
        ++count[serve(ids[i], h)];
      }
      for (int n = 0; n < nodes_; ++n) {
        opens[n] = count[n] == 0 ? weight : 0;
      }
      for (int i = 0; i < traffic_.top_k; ++i) {
        int32_t* gain = &gain_[(size_t(ids[i]) * nodes_ + h) * nodes_];
        for (int n = 0; n < nodes_; ++n) {
          gain[n] += opens[n];
        }
        const int own = serve(ids[i], h);
        gain[own] += count[own] == 1 ? weight : 0;
      }
    }
    for (int e = 0; e < traffic_.experts; ++e) {
      int32_t* gain = &gain_[(size_t(e) * nodes_ + h) * nodes_];
      for (int n = 0; n < nodes_; ++n) {
        gain[n] =
            n == h ? 0 : gain[n] + static_cast<int32_t>(traffic_.lone[size_t(e) * nodes_ + h]);
      }
    }
  }
}

void LayerState::SumLoads() {
  served_.assign(size_t(traffic_.experts) * sets_ * nodes_, 0);
  node_load_.assign(size_t(sets_) * nodes_, 0);
  gpu_load_.assign(size_t(sets_) * gpus_, 0);
  for (int e = 0; e < traffic_.experts; ++e) {
    for (int set = 0; set < sets_; ++set) {
      int64_t* served = &served_[(size_t(e) * sets_ + set) * nodes_];
      for (int h = 0; h < nodes_; ++h) {
        served[serve(e, h)] += traffic_.Demand(e, set)[h];
      }
      for (int n = 0; n < nodes_; ++n) {
        node_load_[size_t(set) * nodes_ + n] += served[n];
      }
      for (int i = 0; i < copies_[e]; ++i) {
        const int slot = slots_of_[size_t(e) * gpus_ + i];
        const int n = node_of_slot_[slot];
        gpu_load_[size_t(set) * gpus_ + gpu_of_slot_[slot]] +=
            Share(served[n], copies_on_[size_t(e) * nodes_ + n]);
      }
    }
  }
  excess_ = 0;
  for (size_t i = 0; i < node_load_.size(); ++i) {
    excess_ += Over(node_load_[i], node_limit_[i]);
  }
  for (size_t i = 0; i < gpu_load_.size(); ++i) {
    excess_ += Over(gpu_load_[i], gpu_limit_[i]);
  }
}

void LayerState::ExportChoice(absl::Span<int16_t> choice) const {
  for (int h = 0; h < nodes_; ++h) {
    for (int e = 0; e < traffic_.experts; ++e) {
      const bool held = holders_[e] >> h & 1;
      choice[size_t(h) * traffic_.experts + e] =
          held ? kRingOrder : static_cast<int16_t>(serve(e, h));
    }
  }
}

}  // namespace advisor
