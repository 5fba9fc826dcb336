#ifndef ADVISOR_CORE_SOLVER_REQUEST_CLUSTERS_H_
#define ADVISOR_CORE_SOLVER_REQUEST_CLUSTERS_H_

#include <vector>

#include "absl/types/span.h"
#include "core/base/rng.h"
#include "core/model/ids.h"
#include "core/solver/token_pool.h"

namespace advisor {

// First guesses at which requests belong on one node, to be improved with the placement. Both hold
// the nodes' shares.

// Requests in the order of their domain labels, cut into stretches by demand.
std::vector<NodeId> HomesByDomain(const TokenPool& pool, absl::Span<const double> share);

// Expert counts of every request over `layers`, as unit vectors [requests, layers x experts].
struct Signatures {
  size_t dimensions = 0;
  std::vector<float> values;
  const float* Of(size_t request) const { return &values[request * dimensions]; }
};
Signatures MakeSignatures(const TokenPool& pool, absl::Span<const int> layers);

// Spherical K-means with as many clusters as nodes, k-means++ seeds, and every assignment balanced
// by demand. Labels are not looked at.
std::vector<NodeId> HomesByKMeans(const TokenPool& pool, const Signatures& signatures,
                                  absl::Span<const double> share, Rng rng);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_REQUEST_CLUSTERS_H_
