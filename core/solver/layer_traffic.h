#ifndef ADVISOR_CORE_SOLVER_LAYER_TRAFFIC_H_
#define ADVISOR_CORE_SOLVER_LAYER_TRAFFIC_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/solver/token_pool.h"

namespace advisor {

// What an activation away from home costs, in visits, where only sums are known: how often an
// expert of a token is alone on its node. Arbitrary where all traffic is sums; beside whole tokens,
// a typical value for top-4 to top-8 over few nodes.
inline constexpr double kLoneVisit = 0.5;

// One layer's share of the traffic once every request has a home: what a layer search minimises
// over. Weights are integers (TokenPool), so that sums kept up incrementally stay exact.
//
// Tokens stand in blocks by home, every block padded to whole 64-bit words, so that "the tokens of
// home h that chose expert e" is a run of words in the bitset of e.
struct LayerTraffic {
  int nodes = 0;
  int experts = 0;
  int top_k = 0;
  int load_sets = 0;  // sets of traffic that each must be balanced: one, or prefill and decode
  int words = 0;      // 64-bit words of a token bitset
  std::vector<int32_t> first_word;  // [nodes + 1] the words of a home's tokens
  std::vector<uint16_t> ids;        // [words * 64, top_k]; padding rows are never in a bitset
  std::vector<int32_t> weight;      // [words * 64]
  std::vector<int32_t> load_set;    // [words * 64] as PooledToken's
  std::vector<uint64_t> chose;      // [experts, words] the tokens that chose an expert
  std::vector<int64_t> demand;      // [experts, load_sets, nodes (home)] activations
  // [experts, nodes (home)] activations known only by sums: each pays a visit of its own.
  std::vector<int64_t> lone;
  std::vector<int64_t> wanted;  // [experts, nodes (home)] activations in and outside the load sets
  int64_t visit_weight = 0;     // sum of weight and lone: the scale of visits
  std::vector<int64_t> total_demand;  // [load_sets]

  // data(), not [0]: traffic of sums alone has no words.
  const uint64_t* Chose(int e) const { return chose.data() + size_t(e) * words; }
  const uint16_t* Ids(int token) const { return &ids[size_t(token) * top_k]; }
  const int64_t* Demand(int e, int set) const {
    return &demand[(size_t(e) * load_sets + set) * nodes];
  }
  int64_t Wanted(int e, int home) const { return wanted[size_t(e) * nodes + home]; }
  // Of all load sets.
  int64_t DemandOf(int e, int home) const {
    int64_t sum = 0;
    for (int set = 0; set < load_sets; ++set) {
      sum += Demand(e, set)[home];
    }
    return sum;
  }
};

// Gathers layer `layer` of `pool` with request r homed on homes[r].
LayerTraffic GatherLayer(const TokenPool& pool, int layer, absl::Span<const NodeId> homes,
                         int nodes);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LAYER_TRAFFIC_H_
