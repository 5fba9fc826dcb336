#include "core/solver/request_clusters.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/solver/home_assignment.h"

namespace advisor {
namespace {

constexpr int kRounds = 12;      // of K-means; balanced assignments settle in fewer
constexpr double kSlack = 0.03;  // above a node's share

void Normalise(float* x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    sum += double(x[i]) * x[i];
  }
  const float scale = sum > 0 ? static_cast<float>(1 / std::sqrt(sum)) : 0;
  for (size_t i = 0; i < n; ++i) {
    x[i] *= scale;
  }
}

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

// k-means++ (Arthur, Vassilvitskii 2007): each further centre drawn by squared distance times
// demand.
std::vector<float> SeedCentres(const TokenPool& pool, const Signatures& s, size_t clusters,
                               Rng& rng) {
  const size_t requests = pool.requests.size();
  std::vector<double> distance(requests, 1);
  std::vector<float> centres;
  for (size_t c = 0; c < clusters; ++c) {
    double total = 0;
    for (size_t r = 0; r < requests; ++r) {
      total += distance[r] * distance[r] * pool.demand[r];
    }
    double at = rng.Uniform() * total;
    size_t chosen = 0;
    for (; chosen + 1 < requests; ++chosen) {
      at -= distance[chosen] * distance[chosen] * pool.demand[chosen];
      if (at < 0) {
        break;
      }
    }
    centres.insert(centres.end(), s.Of(chosen), s.Of(chosen) + s.dimensions);
    for (size_t r = 0; r < requests; ++r) {
      const double d = 1 - Dot(s.Of(r), s.Of(chosen), s.dimensions);
      distance[r] = std::max(0.0, std::min(distance[r], d));
    }
  }
  return centres;
}

}  // namespace

std::vector<NodeId> HomesByDomain(const TokenPool& pool, absl::Span<const double> share) {
  std::vector<size_t> order(pool.requests.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return pool.requests[a]->domain < pool.requests[b]->domain;
  });
  const double total = std::accumulate(pool.demand.begin(), pool.demand.end(), 0.0);
  std::vector<NodeId> homes(order.size());
  size_t node = 0;
  double before = 0, end = share[0] * total;
  for (size_t r : order) {
    while (node + 1 < share.size() && before + pool.demand[r] / 2 > end) {
      end += share[++node] * total;
    }
    homes[r] = NodeId(static_cast<int>(node));
    before += pool.demand[r];
  }
  return homes;
}

Signatures MakeSignatures(const TokenPool& pool, absl::Span<const int> layers) {
  const size_t experts = pool.model->experts;
  Signatures out;
  out.dimensions = layers.size() * experts;
  out.values.assign(pool.requests.size() * out.dimensions, 0);
  for (size_t r = 0; r < pool.requests.size(); ++r) {
    float* row = &out.values[r * out.dimensions];
    for (size_t i = 0; i < layers.size(); ++i) {
      for (int t = pool.first_token[r]; t < pool.first_token[r + 1]; ++t) {
        const uint16_t* ids = pool.tokens[t].experts + size_t(layers[i]) * pool.model->top_k;
        for (int k = 0; k < pool.model->top_k; ++k) {
          row[i * experts + ids[k]] += 1;
        }
      }
      for (size_t e = 0; pool.lone_weight[r] > 0 && e < experts; ++e) {
        row[i * experts + e] +=
            static_cast<float>(pool.requests[r]->counts[layers[i] * experts + e]);
      }
    }
    Normalise(row, out.dimensions);
  }
  return out;
}

std::vector<NodeId> HomesByKMeans(const TokenPool& pool, const Signatures& s,
                                  absl::Span<const double> share, Rng rng) {
  const size_t nodes = share.size(), requests = pool.requests.size();
  std::vector<float> centres = SeedCentres(pool, s, nodes, rng);
  std::vector<NodeId> homes;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<double> cost(requests * nodes);
    for (size_t r = 0; r < requests; ++r) {
      for (size_t n = 0; n < nodes; ++n) {
        cost[r * nodes + n] =
            -pool.demand[r] * Dot(s.Of(r), &centres[n * s.dimensions], s.dimensions);
      }
    }
    std::vector<NodeId> next = AssignBalanced(cost, pool.demand, share, kSlack);
    if (next == homes) {
      break;
    }
    homes = std::move(next);
    std::fill(centres.begin(), centres.end(), 0.0f);
    for (size_t r = 0; r < requests; ++r) {
      float* centre = &centres[homes[r].value() * s.dimensions];
      for (size_t d = 0; d < s.dimensions; ++d) {
        centre[d] += static_cast<float>(pool.demand[r]) * s.Of(r)[d];
      }
    }
    for (size_t n = 0; n < nodes; ++n) {
      Normalise(&centres[n * s.dimensions], s.dimensions);
    }
  }
  return homes;
}

}  // namespace advisor
