#include "core/solver/local_optimum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace advisor {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

class HomeFlow {
 public:
  HomeFlow(absl::Span<const double> demand, absl::Span<const int> capacity, int experts)
      : demand_(demand),
        experts_(experts),
        nodes_(static_cast<int>(capacity.size())),
        held_(nodes_),
        demand_at_(demand.size()),
        holders_(experts, 0),
        hand_on_(size_t(nodes_) * nodes_),
        drop_(nodes_),
        stale_(~uint64_t{0} >> (64 - nodes_)) {
    for (int c : capacity) {
      room_.push_back(std::min(c, experts));
    }
    for (int e = 0; e < experts; ++e) {
      for (int n = 0; n < nodes_; ++n) {
        demand_at_[size_t(e) * nodes_ + n] = Demand(n, e);
      }
    }
  }

  void TakeBest() {
    for (int n = 0; n < nodes_; ++n) {
      std::vector<std::pair<double, int>> order;
      for (int e = 0; e < experts_; ++e) {
        order.emplace_back(-Demand(n, e), e);
      }
      std::nth_element(order.begin(), order.begin() + room_[n], order.end());
      for (int i = 0; i < room_[n]; ++i) {
        Add(n, order[i].second);
      }
    }
  }

  void ForceMissing() {
    for (int e = 0; e < experts_; ++e) {
      if (holders_[e] == 0) {
        Force(e);
      }
    }
  }

  double Served() const {
    double sum = 0;
    for (int n = 0; n < nodes_; ++n) {
      for (int e : held_[n]) {
        sum += Demand(n, e);
      }
    }
    return sum;
  }

 private:
  // An exchange and what it costs, in demand no longer served at home.
  struct Exchange {
    double cost = kNever;
    int expert = -1;
  };

  double Demand(int n, int e) const { return demand_[size_t(n) * experts_ + e]; }

  void Add(int n, int e) {
    held_[n].push_back(e);
    holders_[e] |= uint64_t{1} << n;
    stale_ |= holders_[e];
  }

  void Remove(int n, int e) {
    stale_ |= holders_[e];
    held_[n].erase(std::find(held_[n].begin(), held_[n].end(), e));
    holders_[e] &= ~(uint64_t{1} << n);
  }

  // The cheapest expert that n can hand on to m, and the cheapest that it can drop: of those nodes
  // whose experts, or holders of whose experts, have changed.
  void PriceExchanges() {
    for (; stale_ != 0; stale_ &= stale_ - 1) {
      const int n = std::countr_zero(stale_);
      Exchange* hand_on = &hand_on_[size_t(n) * nodes_];
      std::fill(hand_on, hand_on + nodes_, Exchange());
      drop_[n] = Exchange();
      for (int e : held_[n]) {
        const double* demand = &demand_at_[size_t(e) * nodes_];
        if (demand[n] < drop_[n].cost && (holders_[e] & (holders_[e] - 1)) != 0) {
          drop_[n] = {demand[n], e};
        }
        for (int m = 0; m < nodes_; ++m) {
          const double cost = demand[n] - demand[m];
          if (cost < hand_on[m].cost && !(holders_[e] >> m & 1)) {
            hand_on[m] = {cost, e};
          }
        }
      }
      if (static_cast<int>(held_[n].size()) < room_[n]) {
        drop_[n] = {0, -1};
      }
    }
  }

  void Force(int missing) {
    PriceExchanges();
    // Bellman-Ford: the cheapest way to bring one expert more into every node.
    std::vector<double> cost(nodes_);
    std::vector<int> from(nodes_, -1);
    for (int n = 0; n < nodes_; ++n) {
      cost[n] = -Demand(n, missing);
    }
    for (int round = 1; round < nodes_; ++round) {
      bool changed = false;
      for (int n = 0; n < nodes_; ++n) {
        for (int m = 0; m < nodes_; ++m) {
          const double through = cost[n] + hand_on_[size_t(n) * nodes_ + m].cost;
          // Rounding must not make a free circle look like a gain.
          if (through < cost[m] - 1e-9 * (1 + std::abs(cost[m]))) {
            cost[m] = through;
            from[m] = n;
            changed = true;
          }
        }
      }
      if (!changed) {
        break;
      }
    }
    int last = 0;
    for (int n = 1; n < nodes_; ++n) {
      if (cost[n] + drop_[n].cost < cost[last] + drop_[last].cost) {
        last = n;
      }
    }
    if (drop_[last].expert >= 0) {
      Remove(last, drop_[last].expert);
    }
    int n = last;
    for (; from[n] >= 0; n = from[n]) {
      const int e = hand_on_[size_t(from[n]) * nodes_ + n].expert;
      Remove(from[n], e);
      Add(n, e);
    }
    Add(n, missing);
  }

  absl::Span<const double> demand_;  // [nodes, experts]
  const int experts_, nodes_;
  std::vector<int> room_;               // [nodes]
  std::vector<std::vector<int>> held_;  // [nodes]
  std::vector<double> demand_at_;       // [experts, nodes] the same by expert
  std::vector<uint64_t> holders_;       // [experts] node masks
  std::vector<Exchange> hand_on_;       // [nodes, nodes]
  std::vector<Exchange> drop_;          // [nodes]
  uint64_t stale_;                      // nodes whose exchanges are to be priced again
};

}  // namespace

double MostServedAtHome(absl::Span<const double> demand, absl::Span<const int> capacity,
                        int experts) {
  HomeFlow flow(demand, capacity, experts);
  flow.TakeBest();
  flow.ForceMissing();
  return flow.Served();
}

}  // namespace advisor
