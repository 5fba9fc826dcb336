#include "core/solver/expert_clusters.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace advisor {
namespace {

class Clustering {
 public:
  Clustering(const Coactivation& layer, const Topology& topology, absl::Span<const int> sizes,
             double load_cap)
      : layer_(layer),
        room_(sizes.begin(), sizes.end()),
        clusters_(static_cast<int>(sizes.size())),
        of_(layer.experts, -1),
        inside_(size_t(layer.experts) * sizes.size(), 0),
        own_(layer.experts, 0),
        load_(sizes.size(), 0) {
    for (int c = 0; c < clusters_; ++c) {
      gpus_.push_back(topology.gpus_on(NodeId(c)));
    }
    limit_ = load_cap * std::accumulate(layer.load.begin(), layer.load.end(), 0.0) /
             topology.gpu_count();
  }

  void Grow() {
    std::vector<std::pair<double, int>> order;  // by falling load
    for (int e = 0; e < layer_.experts; ++e) {
      order.emplace_back(-layer_.load[e], e);
    }
    std::sort(order.begin(), order.end());
    for (const auto& entry : order) {
      Join(entry.second, BestFor(entry.second));
    }
    SetOwn();
  }

  bool SwapAll() {
    bool any = false;
    std::vector<double> to(clusters_);  // what a gains by going to a cluster
    for (int a = 0; a < layer_.experts; ++a) {
      const auto measure = [&] {
        for (int c = 0; c < clusters_; ++c) {
          to[c] = Inside(a, c) - Inside(a, of_[a]);
        }
      };
      measure();
      const double* together = Together(a);
      for (int b = a + 1; b < layer_.experts; ++b) {
        const double gain = to[of_[b]] + Inside(b, of_[a]) - own_[b] - 2 * together[b];
        if (gain > kLeastGain && of_[a] != of_[b] && LoadAllows(a, b)) {
          Swap(a, b);
          measure();
          any = true;
        }
      }
    }
    return any;
  }

  std::vector<int> Take() { return std::move(of_); }

 private:
  static constexpr double kLeastGain = 1e-6;

  double Inside(int e, int c) const { return inside_[size_t(c) * layer_.experts + e]; }
  const double* Together(int e) const { return &layer_.together[size_t(e) * layer_.experts]; }
  double PerGpu(int c, double more) const { return (load_[c] + more) / gpus_[c]; }

  int BestFor(int e) const {
    int best = -1, lightest = -1;
    for (int c = 0; c < clusters_; ++c) {
      if (room_[c] == 0) {
        continue;
      }
      if (PerGpu(c, layer_.load[e]) <= limit_ && (best < 0 || Better(e, c, best))) {
        best = c;
      }
      if (lightest < 0 || PerGpu(c, 0) < PerGpu(lightest, 0)) {
        lightest = c;
      }
    }
    return best < 0 ? lightest : best;
  }

  // Clusters grow evenly where nothing draws an expert: the emptier one is better.
  bool Better(int e, int c, int than) const {
    return Inside(e, c) != Inside(e, than) ? Inside(e, c) > Inside(e, than)
                                           : room_[c] > room_[than];
  }

  void Join(int e, int c) {
    of_[e] = c;
    --room_[c];
    load_[c] += layer_.load[e];
    double* inside = &inside_[size_t(c) * layer_.experts];
    for (int other = 0; other < layer_.experts; ++other) {
      inside[other] += Together(e)[other];
    }
  }

  void SetOwn() {
    for (int e = 0; e < layer_.experts; ++e) {
      own_[e] = Inside(e, of_[e]);
    }
  }

  bool LoadAllows(int a, int b) const {
    const double shift = layer_.load[b] - layer_.load[a];  // what a's cluster gains
    const double before = std::max(PerGpu(of_[a], 0), PerGpu(of_[b], 0));
    const double after = std::max(PerGpu(of_[a], shift), PerGpu(of_[b], -shift));
    return after <= std::max(limit_, before);
  }

  void Swap(int a, int b) {
    double* inside_a = &inside_[size_t(of_[a]) * layer_.experts];
    double* inside_b = &inside_[size_t(of_[b]) * layer_.experts];
    for (int e = 0; e < layer_.experts; ++e) {
      const double change = Together(b)[e] - Together(a)[e];
      inside_a[e] += change;
      inside_b[e] -= change;
    }
    load_[of_[a]] += layer_.load[b] - layer_.load[a];
    load_[of_[b]] += layer_.load[a] - layer_.load[b];
    std::swap(of_[a], of_[b]);
    SetOwn();
  }

  const Coactivation& layer_;
  std::vector<int> room_;
  const int clusters_;
  std::vector<int> of_;         // [experts]
  std::vector<double> inside_;  // [clusters, experts] co-activation with the cluster's experts
  std::vector<double> own_;     // [experts] with those of the expert's own cluster
  std::vector<double> load_;    // [clusters]
  std::vector<int> gpus_;       // [clusters]
  double limit_ = 0;            // load per GPU
};

}  // namespace

Coactivation CoactivationOf(const TokenPool& pool, int layer) {
  const int experts = pool.model->experts, top_k = pool.model->top_k;
  Coactivation out;
  out.experts = experts;
  out.together.assign(size_t(experts) * experts, 0);
  out.load.assign(experts, 0);
  // Counted on either side of the diagonal, and in half the memory; the pool's weights fit.
  std::vector<int32_t> pairs(size_t(experts) * experts, 0);
  for (const PooledToken& token : pool.tokens) {
    FetchAhead(pool, token, layer);
    const uint16_t* ids = token.experts + size_t(layer) * top_k;
    for (int i = 0; i < top_k; ++i) {
      out.load[ids[i]] += token.weight;
      int32_t* row = &pairs[size_t(ids[i]) * experts];
      for (int j = i + 1; j < top_k; ++j) {
        row[ids[j]] += token.weight;
      }
    }
  }
  for (int a = 0; a < experts; ++a) {
    for (int b = 0; b < experts; ++b) {
      out.together[size_t(a) * experts + b] =
          double(pairs[size_t(a) * experts + b]) + pairs[size_t(b) * experts + a];
    }
  }
  for (size_t r = 0; r < pool.requests.size(); ++r) {
    for (int e = 0; pool.lone_weight[r] > 0 && e < experts; ++e) {
      out.load[e] +=
          double(pool.lone_weight[r]) * pool.requests[r]->counts[size_t(layer) * experts + e];
    }
  }
  return out;
}

std::vector<int> FirstCopies(const Topology& topology, int experts) {
  std::vector<int> sizes;
  std::vector<std::pair<int, int>> remainders;  // largest first: negative, node
  int left = experts;
  for (int n = 0; n < topology.node_count(); ++n) {
    const int scaled = experts * topology.slots_on(NodeId(n));
    sizes.push_back(scaled / topology.slot_count());
    remainders.emplace_back(-(scaled % topology.slot_count()), n);
    left -= sizes.back();
  }
  std::sort(remainders.begin(), remainders.end());
  for (int i = 0; i < left; ++i) {
    ++sizes[remainders[i].second];
  }
  return sizes;
}

std::vector<int> ClusterExperts(const Coactivation& layer, const Topology& topology,
                                absl::Span<const int> sizes, double load_cap) {
  constexpr int kMaxSweeps = 50;  // every swap gains; a bound on the tail of small gains
  Clustering clustering(layer, topology, sizes, load_cap);
  clustering.Grow();
  for (int sweep = 0; sweep < kMaxSweeps && clustering.SwapAll(); ++sweep) {
  }
  return clustering.Take();
}

}  // namespace advisor
