#ifndef ADVISOR_CORE_SOLVER_REQUEST_GROUPS_H_
#define ADVISOR_CORE_SOLVER_REQUEST_GROUPS_H_

#include <vector>

#include "core/base/parallel.h"
#include "core/base/rng.h"
#include "core/model/ids.h"
#include "core/solver/request_clusters.h"

namespace advisor {

// Groups requests by plain K-means on their signatures, for methods that know nothing but counts.
//
// K-means needs only the cosines between requests: for vectors x of unit length the squared
// distance to the mean of a cluster C is
//   1 - 2 mean over j in C of cos(x, j) + mean over i, j in C of cos(i, j).
// So the vectors are gone through once for every number of clusters and seed that is tried.
class RequestGroups {
 public:
  // demand [requests] home tokens of every request; share [nodes] of them that a node should get.
  RequestGroups(const Signatures& signatures, std::vector<double> demand, std::vector<double> share,
                ParallelFor& parallel);

  // The cluster of every request: Lloyd's rounds from k-means++ seeds.
  std::vector<int> KMeans(int clusters, Rng rng) const;

  // The home of every request: clusters by falling demand to the node with the least demand for its
  // share; K-means ignores demand, so then, in turn, requests are given balanced homes by their
  // cosine to the nodes' centroids and the centroids follow, until both settle.
  std::vector<NodeId> Homes(int clusters, Rng rng) const;

 private:
  std::vector<int> Seeds(int clusters, Rng& rng) const;
  std::vector<int> ClustersToNodes(const std::vector<int>& cluster_of, int clusters) const;
  std::vector<NodeId> Rehome(const std::vector<NodeId>& homes) const;
  const float* Cosines(size_t i) const { return &cosine_[i * demand_.size()]; }

  const std::vector<double> demand_, share_;
  std::vector<float> cosine_;  // [requests, requests]
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_REQUEST_GROUPS_H_
