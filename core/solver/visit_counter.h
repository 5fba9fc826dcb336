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
// token's experts. Every home has a lane of bits, one for each node to visit; up to 8 nodes the
// lanes of all homes share one word.
class VisitCounter {
 public:
  // Over `layers` alone. Needs nothing of `serve` later.
  VisitCounter(const ModelSpec& model, const ServeTable& serve, int nodes,
               absl::Span<const int> layers);

  // Adds to visits [nodes], `weight` times, what a token with experts [moe layers, top_k] costs
  // from each.
  void Add(const uint16_t* experts, int64_t weight, int64_t* visits) const {
    (this->*add_)(experts, weight, visits);
  }

 private:
  template <int kLane>
  void AddInLanes(const uint16_t* experts, int64_t weight, int64_t* visits) const;

  using AddFunction = void (VisitCounter::*)(const uint16_t*, int64_t, int64_t*) const;

  int experts_, top_k_, nodes_;
  int lane_;   // bits: 8, 16, 32 or 64, no fewer than nodes
  int words_;  // of all lanes
  AddFunction add_;
  std::vector<int> layers_;
  std::vector<uint64_t> lanes_;  // [layers counted, experts, words]; a lane of 0: served at home
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_VISIT_COUNTER_H_
