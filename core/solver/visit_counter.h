#ifndef ADVISOR_CORE_SOLVER_VISIT_COUNTER_H_
#define ADVISOR_CORE_SOLVER_VISIT_COUNTER_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/placement.h"
#include "core/model/request.h"
#include "core/model/topology.h"

namespace advisor {

// What tokens would visit from every node at once: RemoteVisits() for all homes, in one pass over a
// token's experts.
class VisitCounter {
 public:
  // For `layers` alone. Needs nothing of `serve` later.
  VisitCounter(const ModelSpec& model, const ServeTable& serve, int nodes,
               absl::Span<const int> layers);

  // Adds to visits [nodes] what a token with experts ids[0 .. top_k) of layer `l` costs from each.
  void Add(const uint16_t* ids, int l, int64_t* visits) const {
    const uint64_t* masks = &masks_[size_t(first_[l]) * experts_ * nodes_];
    uint64_t visited[kMaxNodes] = {};
    for (int i = 0; i < top_k_; ++i) {
      const uint64_t* row = masks + size_t(ids[i]) * nodes_;
      for (int n = 0; n < nodes_; ++n) {
        visited[n] |= row[n];
      }
    }
    for (int n = 0; n < nodes_; ++n) {
      visits[n] += Ones(visited[n]);
    }
  }

 private:
  // std::popcount() is a call on processors without the instruction, which we are built for.
  static int Ones(uint64_t x) {
    x -= x >> 1 & 0x5555555555555555;
    x = (x & 0x3333333333333333) + (x >> 2 & 0x3333333333333333);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0f;
    return static_cast<int>(x * 0x0101010101010101 >> 56);
  }

  int experts_, top_k_, nodes_;
  std::vector<int> first_;       // [moe layers] index among the layers counted
  std::vector<uint64_t> masks_;  // [layers counted, experts, nodes (home)]; 0: served at home
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_VISIT_COUNTER_H_
