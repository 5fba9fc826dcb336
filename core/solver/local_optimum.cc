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
        stale_(nodes_, ~uint64_t{0} >> (64 - nodes_)),
        drop_stale_(stale_[0]) {
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

  Exchange& HandOn(int n, int m) { return hand_on_[size_t(n) * nodes_ + m]; }

  void Add(int n, int e) {
    for (uint64_t left = holders_[e]; left != 0; left &= left - 1) {
      const int p = std::countr_zero(left);
      stale_[p] |= uint64_t{HandOn(p, n).expert == e} << n;
    }
    held_[n].push_back(e);
    holders_[e] |= uint64_t{1} << n;
    drop_stale_ |= uint64_t{drop_[n].expert < 0} << n;  // there may be no room left
    Offer(e);
  }

  void Remove(int n, int e) {
    held_[n].erase(std::find(held_[n].begin(), held_[n].end(), e));
    holders_[e] &= ~(uint64_t{1} << n);
    for (int m = 0; m < nodes_; ++m) {
      stale_[n] |= uint64_t{HandOn(n, m).expert == e} << m;
    }
    drop_stale_ |= uint64_t{1} << n;
    if (std::has_single_bit(holders_[e])) {
      const int p = std::countr_zero(holders_[e]);
      drop_stale_ |= uint64_t{drop_[p].expert == e} << p;
    }
    Offer(e);
  }

  // Lets every holder of e do what e now allows, where that is cheaper than what it had.
  void Offer(int e) {
    for (uint64_t left = holders_[e]; left != 0; left &= left - 1) {
      const int n = std::countr_zero(left);
      OfferDrop(n, e);
      for (int m = 0; m < nodes_; ++m) {
        OfferHandOn(n, m, e);
      }
    }
  }
  void OfferDrop(int n, int e) {
    const double cost = demand_at_[size_t(e) * nodes_ + n];
    if (cost < drop_[n].cost && !std::has_single_bit(holders_[e])) {
      drop_[n] = {cost, e};
    }
  }
  void OfferHandOn(int n, int m, int e) {
    const double* demand = &demand_at_[size_t(e) * nodes_];
    const double cost = demand[n] - demand[m];
    if (cost < HandOn(n, m).cost && !(holders_[e] >> m & 1)) {
      HandOn(n, m) = {cost, e};
    }
  }

  // The cheapest expert that n can hand on to m, and the cheapest that it can drop, where what was
  // cheapest is so no more.
  void PriceExchanges() {
    for (int n = 0; n < nodes_; ++n) {
      for (; stale_[n] != 0; stale_[n] &= stale_[n] - 1) {
        const int m = std::countr_zero(stale_[n]);
        HandOn(n, m) = Exchange();
        for (int e : held_[n]) {
          OfferHandOn(n, m, e);
        }
      }
    }
    for (; drop_stale_ != 0; drop_stale_ &= drop_stale_ - 1) {
      const int n = std::countr_zero(drop_stale_);
      drop_[n] = Exchange();
      for (int e : held_[n]) {
        OfferDrop(n, e);
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
          const double through = cost[n] + HandOn(n, m).cost;
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
      const int e = HandOn(from[n], n).expert;
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
  std::vector<uint64_t> stale_;         // [nodes] what of hand_on_ is to be priced again
  uint64_t drop_stale_;                 // the same of drop_
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
