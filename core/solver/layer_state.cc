#include "core/solver/layer_state.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "core/solver/token_bits.h"

namespace advisor {
LayerState::LayerState(const LayerTraffic& traffic, const Topology& topology,
                       const LayerLimits& limits)
    : LayerCopies(traffic.experts, topology),
      traffic_(traffic),
      limits_(limits),
      load_limits_(limits, traffic, topology),
      nodes_(topology.node_count()),
      gpus_(topology.gpu_count()),
      sets_(traffic.load_sets) {
  if (limits.latency.has_value()) {
    latency_.emplace(*limits.latency,
                     LayerLatency::Scale{nodes_, gpus_, traffic.top_k, traffic.visit_weight,
                                         traffic.total_demand});
  }
  price_.assign(size_t(nodes_) * nodes_, kPriceUnit);
  node_staged_.assign(nodes_, 0);
  gpu_staged_.assign(gpus_, 0);
  for (Outcome& outcome : outcome_) {
    outcome.serve.resize(nodes_);
    outcome.served.resize(size_t(sets_) * nodes_);
  }
}

void LayerState::Reset(absl::Span<const int16_t> row, absl::Span<const int16_t> choice) {
  const int experts = traffic_.experts;
  ResetCopies(row);
  serve_.resize(size_t(experts) * nodes_);
  for (int e = 0; e < experts; ++e) {
    for (int h = 0; h < nodes_; ++h) {
      const int chosen = choice.empty() ? kRingOrder : choice[size_t(h) * experts + e];
      serve_[size_t(e) * nodes_ + h] =
          static_cast<int16_t>(ServingNode(holders(e), nodes_, h, chosen));
    }
  }
  SumVisits();
  tables_known_ = false;
  SumLoads();
  if (latency_.has_value()) {
    latency_->Reset(messages_, gpu_load_);
  }
}

void LayerState::PriceMessages() {
  constexpr double kEven = 1.5, kMost = 2;
  if (latency_.has_value()) {
    return;
  }
  const auto sum = std::accumulate(messages_.begin(), messages_.end(), int64_t{0});
  const double mean = std::max(1.0, double(sum) / (nodes_ * std::max(1, nodes_ - 1)));
  for (size_t i = 0; i < price_.size(); ++i) {
    const double over = std::max(0.0, double(messages_[i]) / mean - kEven);
    price_[i] = static_cast<int32_t>(kPriceUnit * std::min(kMost, 1 + over));
  }
  SumVisits();
  tables_known_ = false;
}

// By token rather than by expert, here and below: what a token needs lies together.
void LayerState::SumVisits() {
  messages_.assign(size_t(nodes_) * nodes_, 0);
  visits_ = 0;
  std::vector<uint64_t> visit(traffic_.experts);  // the node to visit for an expert; 0: at home
  for (int h = 0; h < nodes_; ++h) {
    int64_t* message = &messages_[size_t(h) * nodes_];
    for (int e = 0; e < traffic_.experts; ++e) {
      const int n = serve(e, h);
      const auto lone = n == h ? 0 : static_cast<int32_t>(traffic_.lone[size_t(e) * nodes_ + h]);
      visit[e] = n == h ? 0 : uint64_t{1} << n;
      message[n] += lone;
      visits_ += Priced(h, n, lone);
    }
    for (int t = FirstToken(traffic_, h); t < FirstToken(traffic_, h + 1); ++t) {
      const uint16_t* ids = traffic_.Ids(t);
      uint64_t visited = 0;
      for (int i = 0; i < traffic_.top_k; ++i) {
        visited |= visit[ids[i]];
      }
      for (; visited != 0; visited &= visited - 1) {
        const int n = std::countr_zero(visited);
        message[n] += traffic_.weight[t];
        visits_ += Priced(h, n, traffic_.weight[t]);
      }
    }
  }
}

void LayerState::BuildTables() const {
  count_.assign(size_t(traffic_.words) * kWordBits * nodes_, 0);
  gain_.assign(size_t(traffic_.experts) * nodes_ * nodes_, 0);
  opens_.assign(size_t(traffic_.experts) * nodes_, 0);
  for (int h = 0; h < nodes_; ++h) {
    if (nodes_ == 8) {
      AddTokensToTables<8>(h);
    } else {
      AddTokensToTables<0>(h);
    }
    for (int e = 0; e < traffic_.experts; ++e) {
      int32_t* gain = GainsOf(e, h);
      for (int n = 0; n < nodes_; ++n) {
        const auto lone = static_cast<int32_t>(traffic_.lone[size_t(e) * nodes_ + h]);
        gain[n] = n == h ? 0 : gain[n] + Priced(h, n, lone);
        opens_[size_t(e) * nodes_ + n] += gain[n];
      }
    }
  }
}

// `kNodes`: as many as there are, which is several times as fast; 0: any number.
template <int kNodes>
void LayerState::AddTokensToTables(int home) const {
  const int nodes = kNodes > 0 ? kNodes : nodes_;
  int32_t opens[kMaxNodes];  // what one more expert of the token on a node would add
  for (int t = FirstToken(traffic_, home); t < FirstToken(traffic_, home + 1); ++t) {
    const uint16_t* ids = traffic_.Ids(t);
    const int32_t weight = traffic_.weight[t];
    uint8_t* count = &count_[size_t(t) * nodes];
    for (int i = 0; i < traffic_.top_k; ++i) {
      ++count[serve(ids[i], home)];
    }
    for (int n = 0; n < nodes; ++n) {
      opens[n] = count[n] == 0 ? Priced(home, n, weight) : 0;
    }
    for (int i = 0; i < traffic_.top_k; ++i) {
      int32_t* gain = GainsOf(ids[i], home);
      for (int n = 0; n < nodes; ++n) {
        gain[n] += opens[n];
      }
      const int own = serve(ids[i], home);
      gain[own] += count[own] == 1 ? Priced(home, own, weight) : 0;
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
      for (const int slot : slots_of(e)) {
        const int n = node_of(slot);
        gpu_load_[size_t(set) * gpus_ + gpu_of(slot)] += Share(served[n], copies_on(e, n));
      }
    }
  }
  excess_ = Excess(node_load_, load_limits_.node) + Excess(gpu_load_, load_limits_.gpu);
}

void LayerState::ExportChoice(absl::Span<int16_t> choice) const {
  for (int h = 0; h < nodes_; ++h) {
    for (int e = 0; e < traffic_.experts; ++e) {
      const bool held = holders(e) >> h & 1;
      choice[size_t(h) * traffic_.experts + e] =
          held ? kRingOrder : static_cast<int16_t>(serve(e, h));
    }
  }
}

}  // namespace advisor
