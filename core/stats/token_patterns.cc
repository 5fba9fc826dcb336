#include "core/stats/token_patterns.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/base/rng.h"

namespace advisor {
namespace {

int SharedExperts(const uint16_t* a, const uint16_t* b, int top_k) {
  int shared = 0;
  for (int i = 0; i < top_k; ++i) {
    shared += std::find(b, b + top_k, a[i]) != b + top_k;
  }
  return shared;
}

double TopSum(std::vector<double> values, size_t top) {
  std::nth_element(values.begin(), values.begin() + top, values.end(), std::greater<>());
  return std::accumulate(values.begin(), values.begin() + top, 0.0);
}

CoActivation SummarisePairs(const std::vector<uint32_t>& together,
                            const std::vector<double>& chosen) {
  const int experts = static_cast<int>(chosen.size());
  std::vector<double> seen, expected;
  for (int a = 0; a < experts; ++a) {
    for (int b = a + 1; b < experts; ++b) {
      seen.push_back(together[size_t(a) * experts + b]);
      expected.push_back(chosen[a] * chosen[b]);
    }
  }
  CoActivation out;
  out.pairs = std::accumulate(seen.begin(), seen.end(), 0.0);
  if (out.pairs == 0) {
    return out;
  }
  const double scale = out.pairs / std::accumulate(expected.begin(), expected.end(), 0.0);
  double lift = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    expected[i] *= scale;
    // n (n - 1) and not n^2: for a Poisson count of mean m its mean is m^2, so chance alone gives a
    // lift of 1.
    lift += expected[i] > 0 ? seen[i] * (seen[i] - 1) / expected[i] : 0;
  }
  out.lift = lift / out.pairs;
  const size_t top = std::max<size_t>(1, seen.size() / 10);
  out.top_share = TopSum(seen, top) / out.pairs;
  out.top_share_chance = TopSum(expected, top) / out.pairs;
  return out;
}

}  // namespace

std::vector<double> TokenOverlapPerLayer(const Traffic& traffic, PhaseFilter phase, int lag) {
  const ModelSpec& m = traffic.model;
  std::vector<double> shared(m.moe_layers, 0.0);
  double pairs = 0;
  for (const Request& r : traffic.requests) {
    if (r.counts_only()) {
      continue;
    }
    for (int t = r.first_token(phase); t + lag < r.end_token(phase); ++t) {
      for (int l = 0; l < m.moe_layers; ++l) {
        shared[l] += SharedExperts(r.token(m, t, l), r.token(m, t + lag, l), m.top_k);
      }
      ++pairs;
    }
  }
  for (double& s : shared) {
    s = pairs > 0 ? s / (pairs * m.top_k) : 0;
  }
  return shared;
}

std::vector<CoActivation> CoActivationPerLayer(const Traffic& traffic, PhaseFilter phase) {
  const ModelSpec& m = traffic.model;
  std::vector<CoActivation> out;
  for (int l = 0; l < m.moe_layers; ++l) {
    std::vector<uint32_t> together(size_t(m.experts) * m.experts, 0);
    std::vector<double> chosen(m.experts, 0.0);
    for (const Request& r : traffic.requests) {
      if (r.counts_only()) {
        continue;
      }
      for (int t = r.first_token(phase); t < r.end_token(phase); ++t) {
        const uint16_t* ids = r.token(m, t, l);
        for (int i = 0; i < m.top_k; ++i) {
          chosen[ids[i]] += 1;
          for (int j = 0; j < i; ++j) {
            ++together[size_t(std::min(ids[i], ids[j])) * m.experts + std::max(ids[i], ids[j])];
          }
        }
      }
    }
    out.push_back(SummarisePairs(together, chosen));
  }
  return out;
}

double DistinctExperts(const Traffic& traffic, PhaseFilter phase, int batch, int samples,
                       uint64_t seed) {
  const ModelSpec& m = traffic.model;
  std::vector<const Request*> pool;
  for (const Request& r : traffic.requests) {
    if (!r.counts_only() && r.first_token(phase) < r.end_token(phase)) {
      pool.push_back(&r);
    }
  }
  if (pool.empty()) {
    return 0;
  }
  Rng rng(seed);
  std::vector<int> last_seen(size_t(m.moe_layers) * m.experts,
                             -1);  // index of the last batch that touched the expert
  int64_t distinct = 0;
  for (int s = 0; s < samples; ++s) {
    for (int b = 0; b < batch; ++b) {
      const Request& r = *pool[rng.Below(static_cast<uint32_t>(pool.size()))];
      const int first = r.first_token(phase);
      const int t = first + static_cast<int>(rng.Below(r.end_token(phase) - first));
      for (int l = 0; l < m.moe_layers; ++l) {
        for (int i = 0; i < m.top_k; ++i) {
          int& last = last_seen[size_t(l) * m.experts + r.token(m, t, l)[i]];
          distinct += last != s;
          last = s;
        }
      }
    }
  }
  return static_cast<double>(distinct) / (static_cast<double>(samples) * m.moe_layers);
}

Traffic OnlyDomain(const Traffic& traffic, const std::string& domain) {
  Traffic out{traffic.model, traffic.source, {}};
  std::copy_if(traffic.requests.begin(), traffic.requests.end(), std::back_inserter(out.requests),
               [&](const Request& r) { return r.domain == domain; });
  return out;
}

}  // namespace advisor
