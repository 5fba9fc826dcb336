#include "core/solver/home_assignment.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/solver/layer_traffic.h"
#include "core/solver/visit_counter.h"

namespace advisor {
namespace {

constexpr int kImprovementRounds = 20;  // shifts and swaps settle in a few; a bound all the same
constexpr size_t kSwapCandidates = 48;  // of each node, those that would rather be on the other

// Items on nodes with their loads, improved in place.
class Assignment {
 public:
  Assignment(absl::Span<const double> cost, absl::Span<const double> demand,
             absl::Span<const double> share, double slack)
      : cost_(cost),
        demand_(demand),
        nodes_(share.size()),
        load_(nodes_, 0),
        home_(demand.size(), 0),
        changed_(nodes_, 1),
        tried_(nodes_ * nodes_, 0) {
    const double total = std::accumulate(demand.begin(), demand.end(), 0.0);
    for (double s : share) {
      limit_.push_back(total * s * (1 + slack) + 1e-9 * total);
    }
  }

  void PlaceByRegret();
  bool Shift();
  bool Swap();

  std::vector<NodeId> homes() const {
    std::vector<NodeId> out;
    for (size_t n : home_) {
      out.push_back(NodeId(static_cast<int>(n)));
    }
    return out;
  }

 private:
  double Cost(size_t i, size_t n) const { return cost_[i * nodes_ + n]; }
  bool Fits(size_t n, double more) const { return load_[n] + more <= limit_[n]; }
  void NoteChange(size_t n, size_t m) { changed_[n] = changed_[m] = ++time_; }
  bool SwapPair(size_t n, size_t m);
  std::vector<size_t> Willing(size_t from, size_t to) const;

  absl::Span<const double> cost_, demand_;
  size_t nodes_;
  std::vector<double> load_, limit_;
  std::vector<size_t> home_;
  // Changes so far; the last of a node; how many there were when a pair was last tried.
  int64_t time_ = 1;
  std::vector<int64_t> changed_, tried_;  // [nodes], [nodes, nodes]
};

void Assignment::PlaceByRegret() {
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < demand_.size(); ++i) {
    double best = Cost(i, 0), second = nodes_ > 1 ? Cost(i, 1) : best;
    if (second < best) {
      std::swap(best, second);
    }
    for (size_t n = 2; n < nodes_; ++n) {
      second = std::min(second, std::max(best, Cost(i, n)));
      best = std::min(best, Cost(i, n));
    }
    order.emplace_back(-(second - best) / std::max(demand_[i], 1e-9), i);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [regret, i] : order) {
    size_t chosen = nodes_;
    for (size_t n = 0; n < nodes_; ++n) {
      if (Fits(n, demand_[i]) && (chosen == nodes_ || Cost(i, n) < Cost(i, chosen))) {
        chosen = n;
      }
    }
    if (chosen == nodes_) {  // no room anywhere: where it overflows least
      chosen = 0;
      for (size_t n = 1; n < nodes_; ++n) {
        if ((load_[n] + demand_[i]) / limit_[n] < (load_[chosen] + demand_[i]) / limit_[chosen]) {
          chosen = n;
        }
      }
    }
    home_[i] = chosen;
    load_[chosen] += demand_[i];
  }
}

bool Assignment::Shift() {
  bool any = false;
  for (size_t i = 0; i < demand_.size(); ++i) {
    for (size_t n = 0; n < nodes_; ++n) {
      if (n != home_[i] && Fits(n, demand_[i]) && Cost(i, n) < Cost(i, home_[i])) {
        load_[home_[i]] -= demand_[i];
        load_[n] += demand_[i];
        NoteChange(home_[i], n);
        home_[i] = n;
        any = true;
      }
    }
  }
  return any;
}

std::vector<size_t> Assignment::Willing(size_t from, size_t to) const {
  std::vector<std::pair<double, size_t>> order;
  for (size_t i = 0; i < demand_.size(); ++i) {
    if (home_[i] == from) {
      order.emplace_back(Cost(i, to) - Cost(i, from), i);
    }
  }
  const size_t keep = std::min(kSwapCandidates, order.size());
  std::partial_sort(order.begin(), order.begin() + keep, order.end());
  std::vector<size_t> out;
  for (size_t k = 0; k < keep; ++k) {
    out.push_back(order[k].second);
  }
  return out;
}

bool Assignment::SwapPair(size_t n, size_t m) {
  bool any = false;
  std::vector<size_t> others = Willing(m, n);
  for (size_t i : Willing(n, m)) {
    for (size_t j : others) {
      const double gain = Cost(i, n) - Cost(i, m) + Cost(j, m) - Cost(j, n);
      const double more = demand_[i] - demand_[j];  // what m gains and n loses
      if (gain > 1e-9 && Fits(m, std::max(more, 0.0)) && Fits(n, std::max(-more, 0.0))) {
        std::swap(home_[i], home_[j]);
        load_[m] += more;
        load_[n] -= more;
        NoteChange(n, m);
        any = true;
        others = Willing(m, n);
        break;
      }
    }
  }
  return any;
}

// A pair of nodes that had nothing to swap has nothing until one of them changes.
bool Assignment::Swap() {
  bool any = false;
  for (size_t n = 0; n < nodes_; ++n) {
    for (size_t m = n + 1; m < nodes_; ++m) {
      int64_t& tried = tried_[n * nodes_ + m];
      if (std::max(changed_[n], changed_[m]) > tried) {
        tried = time_;
        any |= SwapPair(n, m);
      }
    }
  }
  return any;
}

double LoneCost(const TokenPool& pool, const ServeTable& serve, size_t request, int node,
                absl::Span<const int> layers) {
  const Request& r = *pool.requests[request];
  double sum = 0;
  for (int l : layers) {
    const int16_t* row = serve.ServeRow(l, node);
    for (int e = 0; e < pool.model->experts; ++e) {
      sum += row[e] != node ? r.counts[size_t(l) * pool.model->experts + e] : 0;
    }
  }
  return sum * pool.lone_weight[request] * kLoneVisit;
}

// What the cheapest node costs less than the mean one, times demand, summed over the items.
double MeanAdvantage(absl::Span<const double> cost, absl::Span<const double> demand, size_t nodes) {
  double sum = 0;
  for (size_t i = 0; i < demand.size(); ++i) {
    const absl::Span<const double> of_item = cost.subspan(i * nodes, nodes);
    sum += demand[i] * (std::accumulate(of_item.begin(), of_item.end(), 0.0) / double(nodes) -
                        *std::min_element(of_item.begin(), of_item.end()));
  }
  return sum;
}

// Demand by node when every item goes where cost + bias is least.
std::vector<double> LoadOfCheapest(absl::Span<const double> cost, absl::Span<const double> demand,
                                   absl::Span<const double> bias) {
  const size_t nodes = bias.size();
  std::vector<double> load(nodes, 0);
  for (size_t i = 0; i < demand.size(); ++i) {
    const double* of_item = &cost[i * nodes];
    size_t cheapest = 0;
    for (size_t n = 1; n < nodes; ++n) {
      if (of_item[n] + bias[n] < of_item[cheapest] + bias[cheapest]) {
        cheapest = n;
      }
    }
    load[cheapest] += demand[i];
  }
  return load;
}

}  // namespace

std::vector<double> NodeShares(const Topology& topology) {
  std::vector<double> share;
  for (int n = 0; n < topology.node_count(); ++n) {
    share.push_back(double(topology.gpus_on(NodeId(n))) / topology.gpu_count());
  }
  return share;
}

std::vector<double> HomeCosts(const TokenPool& pool, const ServeTable& serve, int nodes,
                              absl::Span<const int> layers, ParallelFor& parallel) {
  const VisitCounter counter(*pool.model, serve, nodes, layers);
  std::vector<double> cost(pool.requests.size() * nodes, 0);
  parallel.Run(static_cast<int>(pool.requests.size()), [&](int r) {
    double* sum = &cost[size_t(r) * nodes];
    for (int n = 0; pool.lone_weight[r] > 0 && n < nodes; ++n) {
      sum[n] = LoneCost(pool, serve, r, n, layers);
    }
    std::vector<int64_t> visits(nodes, 0);
    for (int t = pool.first_token[r]; t < pool.first_token[r + 1]; ++t) {
      counter.Add(pool.tokens[t].experts, pool.tokens[t].weight, visits.data());
    }
    for (int n = 0; n < nodes; ++n) {
      sum[n] += double(visits[n]);
    }
  });
  return cost;
}

std::vector<double> BalancingBias(absl::Span<const double> cost, absl::Span<const double> demand,
                                  absl::Span<const double> share, double tolerance) {
  constexpr int kSteps = 300;
  const size_t nodes = share.size();
  const double total = std::accumulate(demand.begin(), demand.end(), 0.0);
  std::vector<double> bias(nodes, 0), least_uneven(nodes, 0), uneven(nodes);
  if (!(total > 0)) {
    return bias;
  }
  const double step = MeanAdvantage(cost, demand, nodes) / total;
  double least = std::numeric_limits<double>::infinity();
  for (int k = 0; k < kSteps && least > 0; ++k) {
    const std::vector<double> load = LoadOfCheapest(cost, demand, bias);
    double most = 0;
    for (size_t n = 0; n < nodes; ++n) {
      const double off = load[n] / (share[n] * total) - 1;
      uneven[n] = std::copysign(std::max(0.0, std::abs(off) - tolerance), off);
      most = std::max(most, std::abs(uneven[n]));
    }
    if (most < least) {
      least = most;
      least_uneven = bias;
    }
    for (size_t n = 0; n < nodes; ++n) {
      bias[n] += step / std::sqrt(k + 1) * uneven[n] * share[n];
    }
  }
  return least_uneven;
}

std::vector<NodeId> AssignBalanced(absl::Span<const double> cost, absl::Span<const double> demand,
                                   absl::Span<const double> share, double slack) {
  Assignment assignment(cost, demand, share, slack);
  assignment.PlaceByRegret();
  for (int round = 0; round < kImprovementRounds; ++round) {
    const bool shifted = assignment.Shift();
    if (!assignment.Swap() && !shifted) {
      break;
    }
  }
  return assignment.homes();
}

}  // namespace advisor
