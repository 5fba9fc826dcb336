#include "core/solver/local_copies.h"

#include <algorithm>
#include <numeric>

#include "core/solver/token_bits.h"

namespace advisor {
namespace {

// The tokens homed on one node, and what copies there would save them.
class HomeTraffic {
 public:
  HomeTraffic(const LayerTraffic& traffic, int home, absl::Span<const int> first_node)
      : traffic_(traffic),
        home_(home),
        first_node_(first_node),
        demand_(traffic.experts),
        credit_(traffic.experts),
        held_(traffic.experts),
        beside_(traffic.nodes, 0) {
    for (int e = 0; e < traffic.experts; ++e) {
      held_[e] = first_node[e] == home;
      demand_[e] = traffic.Wanted(e, home);
      // Activations known only by sums cause visits of their own.
      credit_[e] = held_[e] ? 0 : double(traffic.lone[size_t(e) * traffic.nodes + home]);
    }
    for (int t = FirstToken(traffic, home); t < FirstToken(traffic, home + 1); ++t) {
      Credit(t, 1);
    }
  }

  void Hold(int e) {
    const uint64_t* chose = traffic_.Chose(e);
    const auto credit_all = [&](int sign) {
      ForTokens(
          traffic_, home_, [&](int w) { return chose[w]; }, [&](int t) { Credit(t, sign); });
    };
    credit_all(-1);
    held_[e] = true;
    credit_all(1);
  }

  bool Holds(int e) const { return held_[e] != 0; }
  int64_t demand(int e) const { return demand_[e]; }
  // Whether a copy of `a` saves this home more than one of `b`.
  bool Better(int a, int b) const {
    return credit_[a] != credit_[b] ? credit_[a] > credit_[b] : demand_[a] > demand_[b];
  }

 private:
  // Shares the token's visits out over its experts, `sign` times. Padding weighs nothing.
  void Credit(int token, int sign) {
    const uint16_t* ids = traffic_.Ids(token);
    const double weight = sign * double(traffic_.weight[token]);
    for (int i = 0; i < traffic_.top_k; ++i) {
      beside_[first_node_[ids[i]]] += !held_[ids[i]];
    }
    for (int i = 0; i < traffic_.top_k; ++i) {
      if (!held_[ids[i]]) {
        credit_[ids[i]] += weight / beside_[first_node_[ids[i]]];
      }
    }
    for (int i = 0; i < traffic_.top_k; ++i) {
      beside_[first_node_[ids[i]]] = 0;
    }
  }

  const LayerTraffic& traffic_;
  const int home_;
  absl::Span<const int> first_node_;
  std::vector<int64_t> demand_;  // [experts]
  std::vector<double> credit_;   // [experts]
  std::vector<uint8_t> held_;    // [experts]
  std::vector<int> beside_;      // [nodes] experts of one token not held; 0 between tokens
};

}  // namespace

std::vector<uint64_t> AddLocalCopies(const LayerTraffic& traffic, absl::Span<const int> first_node,
                                     const Topology& topology, double load_cap) {
  const int nodes = traffic.nodes, experts = traffic.experts;
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
  std::vector<HomeTraffic> of_home;
  for (int n = 0; n < nodes; ++n) {
    of_home.emplace_back(traffic, n, first_node);
  }
  std::vector<double> load(nodes, 0);
  for (int e = 0; e < experts; ++e) {
    for (const HomeTraffic& t : of_home) {
      load[first_node[e]] += double(t.demand(e));
    }
  }
  const double limit =
      load_cap * std::accumulate(load.begin(), load.end(), 0.0) / topology.gpu_count();
  for (bool any = true; any;) {
    any = false;
    for (int n = 0; n < nodes; ++n) {
      int best = -1;
      for (int e = 0; e < experts && spare[n] > 0; ++e) {
        const bool fits =
            load[n] + double(of_home[n].demand(e)) <= limit * topology.gpus_on(NodeId(n));
        if (!of_home[n].Holds(e) && fits && (best < 0 || of_home[n].Better(e, best))) {
          best = e;
        }
      }
      if (best >= 0) {
        holders[best] |= uint64_t{1} << n;
        load[n] += double(of_home[n].demand(best));
        load[first_node[best]] -= double(of_home[n].demand(best));
        of_home[n].Hold(best);
        --spare[n];
        any = true;
      }
    }
  }
  return holders;
}

}  // namespace advisor
