#include "core/solver/local_copies.h"

#include <algorithm>
#include <numeric>

namespace advisor {
namespace {

// The tokens homed on one node, and what copies there would save them.
class HomeTraffic {
 public:
  HomeTraffic(const TokenPool& pool, int layer, int home, absl::Span<const int> first_node)
      : top_k_(pool.model->top_k),
        layer_(layer),
        first_node_(first_node),
        demand_(pool.model->experts, 0),
        credit_(pool.model->experts, 0),
        held_(pool.model->experts, false) {
    for (int e = 0; e < pool.model->experts; ++e) {
      held_[e] = first_node[e] == home;
    }
  }

  void AddToken(const PooledToken& token) {
    tokens_.push_back(&token);
    for (int i = 0; i < top_k_; ++i) {
      demand_[Ids(token)[i]] += token.weight;
    }
    Credit(token, 1);
  }

  // Activations known only by sums: each causes a visit of its own.
  void AddSums(int e, double activations) {
    demand_[e] += activations;
    credit_[e] += held_[e] ? 0 : activations;
  }

  void Hold(int e) {
    std::vector<const PooledToken*> chose;
    for (const PooledToken* token : tokens_) {
      if (std::find(Ids(*token), Ids(*token) + top_k_, e) != Ids(*token) + top_k_) {
        chose.push_back(token);
        Credit(*token, -1);
      }
    }
    held_[e] = true;
    for (const PooledToken* token : chose) {
      Credit(*token, 1);
    }
  }

  bool Holds(int e) const { return held_[e]; }
  double demand(int e) const { return demand_[e]; }
  // Whether a copy of `a` saves this home more than one of `b`.
  bool Better(int a, int b) const {
    return credit_[a] != credit_[b] ? credit_[a] > credit_[b] : demand_[a] > demand_[b];
  }

 private:
  const uint16_t* Ids(const PooledToken& token) const {
    return token.experts + size_t(layer_) * top_k_;
  }

  // Shares the token's visits out over its experts, `sign` times.
  void Credit(const PooledToken& token, int sign) {
    const uint16_t* ids = Ids(token);
    for (int i = 0; i < top_k_; ++i) {
      if (held_[ids[i]]) {
        continue;
      }
      int beside = 0;
      for (int j = 0; j < top_k_; ++j) {
        beside += !held_[ids[j]] && first_node_[ids[j]] == first_node_[ids[i]];
      }
      credit_[ids[i]] += sign * double(token.weight) / beside;
    }
  }

  const int top_k_, layer_;
  absl::Span<const int> first_node_;
  std::vector<const PooledToken*> tokens_;
  std::vector<double> demand_, credit_;  // [experts]
  std::vector<bool> held_;               // [experts]
};

std::vector<HomeTraffic> TrafficByHome(const TokenPool& pool, int layer,
                                       absl::Span<const NodeId> homes,
                                       absl::Span<const int> first_node, int nodes) {
  std::vector<HomeTraffic> traffic;
  for (int n = 0; n < nodes; ++n) {
    traffic.emplace_back(pool, layer, n, first_node);
  }
  for (const PooledToken& token : pool.tokens) {
    traffic[homes[token.request].value()].AddToken(token);
  }
  const int experts = pool.model->experts;
  for (size_t r = 0; r < pool.requests.size(); ++r) {
    for (int e = 0; pool.lone_weight[r] > 0 && e < experts; ++e) {
      const double count = pool.requests[r]->counts[size_t(layer) * experts + e];
      traffic[homes[r].value()].AddSums(e, count * pool.lone_weight[r]);
    }
  }
  return traffic;
}

}  // namespace

std::vector<uint64_t> AddLocalCopies(const TokenPool& pool, int layer,
                                     absl::Span<const NodeId> homes,
                                     absl::Span<const int> first_node, const Topology& topology,
                                     double load_cap) {
  const int nodes = topology.node_count(), experts = pool.model->experts;
  std::vector<uint64_t> holders(experts);
  std::vector<int> spare;
  for (int n = 0; n < nodes; ++n) {
    spare.push_back(topology.slots_on(NodeId(n)));
  }
  for (int e = 0; e < experts; ++e) {
    holders[e] = uint64_t{1} << first_node[e];
    --spare[first_node[e]];
  }
  if (std::all_of(spare.begin(), spare.end(), [](int s) { return s == 0; })) {
    return holders;
  }
  std::vector<HomeTraffic> traffic = TrafficByHome(pool, layer, homes, first_node, nodes);
  std::vector<double> load(nodes, 0);
  for (int e = 0; e < experts; ++e) {
    for (const HomeTraffic& t : traffic) {
      load[first_node[e]] += t.demand(e);
    }
  }
  const double limit =
      load_cap * std::accumulate(load.begin(), load.end(), 0.0) / topology.gpu_count();
  for (bool any = true; any;) {
    any = false;
    for (int n = 0; n < nodes; ++n) {
      int best = -1;
      for (int e = 0; e < experts && spare[n] > 0; ++e) {
        const bool fits = load[n] + traffic[n].demand(e) <= limit * topology.gpus_on(NodeId(n));
        if (!traffic[n].Holds(e) && fits && (best < 0 || traffic[n].Better(e, best))) {
          best = e;
        }
      }
      if (best >= 0) {
        holders[best] |= uint64_t{1} << n;
        load[n] += traffic[n].demand(best);
        load[first_node[best]] -= traffic[n].demand(best);
        traffic[n].Hold(best);
        --spare[n];
        any = true;
      }
    }
  }
  return holders;
}

}  // namespace advisor
