#include "core/solver/request_groups.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/solver/home_assignment.h"

namespace advisor {
namespace {

constexpr double kHomeSlack = 0.03;  // above a node's share

float Dot(const float* a, const float* b, size_t n) {
  float lanes[8] = {};  // a fixed order of additions that vectorises
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k) {
      lanes[k] += a[i + k] * b[i + k];
    }
  }
  float sum = 0;
  for (; i < n; ++i) {
    sum += a[i] * b[i];
  }
  for (float lane : lanes) {
    sum += lane;
  }
  return sum;
}

// Sums over the members of every group of cos(i, member), [requests, groups].
std::vector<double> Nearness(const std::vector<float>& cosine, const std::vector<int>& group_of,
                             int groups) {
  const size_t requests = group_of.size();
  std::vector<double> near(requests * groups, 0);
  for (size_t i = 0; i < requests; ++i) {
    for (size_t j = 0; j < requests; ++j) {
      near[i * groups + group_of[j]] += cosine[i * requests + j];
    }
  }
  return near;
}

}  // namespace

RequestGroups::RequestGroups(const Signatures& signatures, std::vector<double> demand,
                             std::vector<double> share, ParallelFor& parallel)
    : demand_(std::move(demand)),
      share_(std::move(share)),
      cosine_(demand_.size() * demand_.size()) {
  const size_t requests = demand_.size();
  parallel.Run(static_cast<int>(requests), [&](int i) {
    for (size_t j = 0; j < requests; ++j) {
      cosine_[i * requests + j] = Dot(signatures.Of(i), signatures.Of(j), signatures.dimensions);
    }
  });
}

// Requests far from every seed so far are likelier to become the next (Arthur, Vassilvitskii 2007).
std::vector<int> RequestGroups::Seeds(int clusters, Rng& rng) const {
  const int requests = static_cast<int>(demand_.size());
  std::vector<int> seeds = {static_cast<int>(rng.Below(requests))};
  std::vector<double> square(requests, 2);  // to the nearest seed: 2 - 2 cos
  while (static_cast<int>(seeds.size()) < clusters) {
    double total = 0;
    for (int i = 0; i < requests; ++i) {
      square[i] = std::min(square[i], std::max(0.0, 2 - 2 * double{Cosines(seeds.back())[i]}));
      total += square[i];
    }
    double draw = rng.Uniform() * total;
    int next = 0;
    while (next + 1 < requests && draw >= square[next]) {
      draw -= square[next++];
    }
    seeds.push_back(next);
  }
  return seeds;
}

std::vector<int> RequestGroups::KMeans(int clusters, Rng rng) const {
  constexpr int kMaxRounds = 50;  // Lloyd settles in 5 to 20 on real traces
  const int requests = static_cast<int>(demand_.size());
  std::vector<int> of(requests, 0);
  if (requests == 0) {
    return of;
  }
  const std::vector<int> seeds = Seeds(clusters, rng);
  for (int i = 0; i < requests; ++i) {
    for (int c = 1; c < clusters; ++c) {
      if (Cosines(i)[seeds[c]] > Cosines(i)[seeds[of[i]]]) {
        of[i] = c;
      }
    }
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    const std::vector<double> near = Nearness(cosine_, of, clusters);
    std::vector<double> size(clusters, 0), within(clusters, 0);
    for (int i = 0; i < requests; ++i) {
      ++size[of[i]];
      within[of[i]] += near[size_t(i) * clusters + of[i]];
    }
    std::vector<int> next = of;
    for (int i = 0; i < requests; ++i) {
      const auto distance = [&](int c) {  // squared, less the 1 that all have in common
        return within[c] / (size[c] * size[c]) - 2 * near[size_t(i) * clusters + c] / size[c];
      };
      for (int c = 0; c < clusters; ++c) {
        if (size[c] > 0 && distance(c) < distance(next[i])) {
          next[i] = c;
        }
      }
    }
    if (next == of) {
      break;
    }
    of = std::move(next);
  }
  return of;
}

std::vector<int> RequestGroups::ClustersToNodes(const std::vector<int>& cluster_of,
                                                int clusters) const {
  std::vector<std::pair<double, int>> order;  // by falling demand
  for (int c = 0; c < clusters; ++c) {
    order.emplace_back(0, c);
  }
  for (size_t i = 0; i < cluster_of.size(); ++i) {
    order[cluster_of[i]].first -= demand_[i];
  }
  std::sort(order.begin(), order.end());
  std::vector<double> load(share_.size(), 0);
  std::vector<int> node_of(clusters);
  for (const auto& [negative, c] : order) {
    int best = 0;
    for (size_t n = 1; n < share_.size(); ++n) {
      if ((load[n] - negative) / share_[n] < (load[best] - negative) / share_[best]) {
        best = static_cast<int>(n);
      }
    }
    node_of[c] = best;
    load[best] -= negative;
  }
  return node_of;
}

std::vector<NodeId> RequestGroups::Rehome(const std::vector<NodeId>& homes) const {
  const size_t nodes = share_.size();
  std::vector<int> node_of;
  for (NodeId home : homes) {
    node_of.push_back(home.value());
  }
  std::vector<double> cost = Nearness(cosine_, node_of, static_cast<int>(nodes));
  std::vector<double> square(nodes, 0);  // length of the sum of a node's requests, squared
  for (size_t i = 0; i < homes.size(); ++i) {
    square[node_of[i]] += cost[i * nodes + node_of[i]];
  }
  for (size_t k = 0; k < cost.size(); ++k) {
    const double length = std::sqrt(square[k % nodes]);
    cost[k] = length > 0 ? -demand_[k / nodes] * cost[k] / length : 0;
  }
  return AssignBalanced(cost, demand_, share_, kHomeSlack);
}

std::vector<NodeId> RequestGroups::Homes(int clusters, Rng rng) const {
  constexpr int kMaxRounds = 10;
  const std::vector<int> cluster_of = KMeans(clusters, rng);
  const std::vector<int> node_of = ClustersToNodes(cluster_of, clusters);
  std::vector<NodeId> homes;
  for (int c : cluster_of) {
    homes.push_back(NodeId(node_of[c]));
  }
  for (int round = 0; round < kMaxRounds; ++round) {
    std::vector<NodeId> next = Rehome(homes);
    const bool settled = next == homes;
    homes = std::move(next);
    if (settled) {
      break;
    }
  }
  return homes;
}

}  // namespace advisor
