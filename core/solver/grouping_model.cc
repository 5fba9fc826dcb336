#include "core/solver/grouping_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <string>

#include "core/solver/home_assignment.h"
#include "core/solver/layer_traffic.h"
#include "core/solver/visit_counter.h"

namespace advisor {
namespace {

// Tokens' worth of the layer's mean affinity mixed into every expert's own: rare experts are not
// believed.
constexpr double kPriorTokens = 4;
// What a whole allowance of load ahead costs, in mean differences between a request's best node and
// its second: high enough that requests with little to lose give way early, low enough that a
// typical one does not.
constexpr double kPriceOfAllowance = 1.5;
// Nodes that all requests together would load so far off their share are left to the load rule:
// what so little says of a node is chance.
constexpr double kShareTolerance = 0.15;
// A ridge on the two weights of FitWeights, in requests, towards trusting the prompt alone.
constexpr double kRidgeRequests = 1;

constexpr int kHomesOfWord = 8;
constexpr uint64_t kEachByte = 0x0101010101010101;

// The node that serves each expert, a byte for every home, [experts, words].
std::vector<uint64_t> ServersByHome(const ServeTable& serve, int layer, int experts, int nodes,
                                    int words) {
  std::vector<uint64_t> servers(size_t(experts) * words, 0);
  for (int n = 0; n < nodes; ++n) {
    const int16_t* row = serve.ServeRow(layer, n);
    for (int e = 0; e < experts; ++e) {
      servers[size_t(e) * words + n / kHomesOfWord] |= uint64_t(row[e]) << (n % kHomesOfWord * 8);
    }
  }
  return servers;
}

// 1 in every byte that is equal in both. No byte is above 127.
uint64_t EqualBytes(uint64_t a, uint64_t b) {
  return ((kEachByte << 7) - (a ^ b)) >> 7 & kEachByte;
}

void FitLayer(const TokenPool& pool, const ServeTable& serve, int layer, int nodes,
              float* affinity) {
  const int experts = pool.model->experts, top_k = pool.model->top_k;
  const int words = (nodes + kHomesOfWord - 1) / kHomesOfWord, homes = words * kHomesOfWord;
  const std::vector<uint64_t> servers = ServersByHome(serve, layer, experts, nodes, words);
  std::vector<double> sum(size_t(experts) * homes, 0), weight(experts, 0), mean(nodes, 0);
  double share[kMaxTopK + 1] = {};  // of a token's weight, by how many experts cause a visit
  int32_t shared = 0;
  for (const PooledToken& token : pool.tokens) {
    FetchAhead(pool, token, layer);
    const uint16_t* ids = token.experts + size_t(layer) * top_k;
    for (int k = 1; k <= top_k && shared != token.weight; ++k) {
      share[k] = token.weight * (1.0 / k);
    }
    shared = token.weight;
    for (int w = 0; w < words; ++w) {
      uint64_t at[kMaxTopK], causes[kMaxTopK];
      for (int i = 0; i < top_k; ++i) {
        at[i] = servers[size_t(ids[i]) * words + w];
        causes[i] = kEachByte;
      }
      for (int i = 0; i < top_k; ++i) {
        for (int j = i + 1; j < top_k; ++j) {
          const uint64_t together = EqualBytes(at[i], at[j]);
          causes[i] += together;
          causes[j] += together;
        }
      }
      for (int i = 0; i < top_k; ++i) {
        double* of_expert = &sum[size_t(ids[i]) * homes + w * kHomesOfWord];
        for (int n = 0; n < kHomesOfWord; ++n) {
          of_expert[n] += share[causes[i] >> (8 * n) & 0xff];
        }
      }
    }
    for (int i = 0; i < top_k; ++i) {
      weight[ids[i]] += token.weight;
    }
  }
  for (int e = 0; e < experts; ++e) {
    for (int n = 0; n < nodes; ++n) {
      if (serve.Serves(layer, n, e) == n) {
        sum[size_t(e) * homes + n] = 0;
      }
    }
  }
  double total = 0, tokens = std::max<double>(1, double(pool.tokens.size()));
  for (int e = 0; e < experts; ++e) {
    total += weight[e];
    for (int n = 0; n < nodes; ++n) {
      mean[n] += sum[size_t(e) * homes + n];
    }
  }
  const double prior = total > 0 ? kPriorTokens * total / (tokens * top_k) : kPriorTokens;
  for (int e = 0; e < experts; ++e) {
    for (int n = 0; n < nodes; ++n) {
      const bool held = serve.Serves(layer, n, e) == n;
      const double expected = total > 0 ? mean[n] / total : kLoneVisit;
      const double value = (sum[size_t(e) * homes + n] + prior * expected) / (weight[e] + prior);
      affinity[size_t(e) * nodes + n] = held ? 0.0f : static_cast<float>(value);
    }
  }
}

struct Sums {
  double weight = 0;
  std::vector<double> cost;
};

// What the fit sees of one request: costs per node, centred over the nodes, since only differences
// decide.
struct Sample {
  const Request* request = nullptr;
  double weight = 0;           // tokens of the phase it stands for
  std::vector<double> prompt;  // estimate from the prompt by affinity
  std::vector<double> truth;   // cost per token of the phase
};

void Centre(std::vector<double>& x) {
  const double mean = std::accumulate(x.begin(), x.end(), 0.0) / double(x.size());
  for (double& v : x) {
    v -= mean;
  }
}

// Adds the affinities of counts that stand for `tokens` tokens.
void AddSums(const Request& r, const Grouping& g, std::vector<double>& out) {
  const size_t nodes = g.nodes;
  for (size_t i = 0; i < r.counts.size(); ++i) {
    for (size_t n = 0; n < nodes && r.counts[i] > 0; ++n) {
      out[n] += double(r.counts[i]) / r.tokens * g.affinity[i * nodes + n];
    }
  }
}

// Adds the affinities of a prompt for nodes first .. first + kWidth - 1: the width is fixed so that
// sums stay in registers, and layers are taken one by one so that a layer's affinities stay near.
// In float so many tokens at a time, all of it in double: half the width, and little is lost.
template <int kWidth>
void AddPromptTo(const ModelSpec& model, const Request& r, const Grouping& g, int first,
                 std::vector<double>& out) {
  constexpr int kTokensInFloat = 64;
  for (int from = 0; from < r.prompt_tokens; from += kTokensInFloat) {
    const int end = std::min(from + kTokensInFloat, r.prompt_tokens);
    for (int l = 0; l < g.layers; ++l) {
      const float* affinity = &g.affinity[size_t(l) * g.experts * g.nodes + first];
      float sum[kWidth] = {};
      for (int t = from; t < end; ++t) {
        const uint16_t* ids = r.token(model, t, l);
        for (int i = 0; i < model.top_k; ++i) {
          const float* of_expert = affinity + size_t(ids[i]) * g.nodes;
          for (int n = 0; n < kWidth; ++n) {
            sum[n] += of_expert[n];
          }
        }
      }
      for (int n = 0; n < kWidth; ++n) {
        out[first + n] += sum[n];
      }
    }
  }
}

void AddPrompt(const ModelSpec& model, const Request& r, const Grouping& g,
               std::vector<double>& out) {
  int n = 0;
  for (; n + 8 <= g.nodes; n += 8) {
    AddPromptTo<8>(model, r, g, n, out);
  }
  for (; n + 4 <= g.nodes; n += 4) {
    AddPromptTo<4>(model, r, g, n, out);
  }
  for (; n < g.nodes; ++n) {
    AddPromptTo<1>(model, r, g, n, out);
  }
}

Sample MakeSample(const ModelSpec& model, const Request& r, PhaseFilter phase,
                  const VisitCounter& counter, const Grouping& g) {
  Sample sample;
  sample.request = &r;
  sample.prompt.assign(g.nodes, 0);
  sample.truth.assign(g.nodes, 0);
  if (r.counts_only()) {
    sample.weight = r.weight * r.tokens;
    AddSums(r, g, sample.prompt);
    sample.truth = sample.prompt;
  } else {
    const int first = r.first_token(phase), end = r.end_token(phase);
    sample.weight = r.weight * (end - first);
    AddPrompt(model, r, g, sample.prompt);
    for (double& cost : sample.prompt) {
      cost /= std::max(1, r.prompt_tokens);
    }
    std::vector<int64_t> visits(g.nodes, 0);
    for (int t = first; t < end; ++t) {
      counter.Add(r.token(model, t, 0), 1, visits.data());
    }
    for (int n = 0; n < g.nodes; ++n) {
      sample.truth[n] = double(visits[n]) / std::max(1, end - first);
    }
  }
  Centre(sample.prompt);
  Centre(sample.truth);
  return sample;
}

// truth ~ prompt x (estimate from the prompt) + domain x (mean truth of the domain's other
// requests; 0 without a label).
struct Weights {
  double prompt = 1, domain = 0;
};

Weights FitWeights(const std::vector<Sample>& samples, const std::map<std::string, Sums>& domains) {
  double pp = 0, pd = 0, dd = 0, py = 0, dy = 0, total = 0;
  for (const Sample& s : samples) {
    const Sums& sums = domains.at(s.request->domain);
    const double others = sums.weight - s.weight;
    total += s.weight;
    for (size_t n = 0; n < s.truth.size(); ++n) {
      const double p = s.prompt[n], y = s.truth[n];
      const double d =
          others > 0 && !s.request->domain.empty() ? (sums.cost[n] - s.weight * y) / others : 0;
      pp += s.weight * p * p;
      pd += s.weight * p * d;
      dd += s.weight * d * d;
      py += s.weight * p * y;
      dy += s.weight * d * y;
    }
  }
  // Ridge towards (1, 0).
  const double ridge =
      kRidgeRequests * (pp + 1e-9 * total) / std::max<double>(1, double(samples.size()));
  pp += ridge;
  dd += ridge;
  py += ridge;
  const double det = pp * dd - pd * pd;
  if (!(det > 0)) {
    return {};
  }
  Weights w{(py * dd - dy * pd) / det, (dy * pp - py * pd) / det};
  if (w.domain < 0) {
    w = {py / pp, 0};
  } else if (w.prompt < 0) {
    w = {0, dy / dd};
  }
  return w;
}

// What the fitted model says of every request, [samples, nodes].
std::vector<double> FittedCosts(const std::vector<Sample>& samples, const Weights& w,
                                const std::map<std::string, Sums>& domains) {
  std::vector<double> cost;
  for (const Sample& s : samples) {
    const Sums& sums = domains.at(s.request->domain);
    for (size_t n = 0; n < s.prompt.size(); ++n) {
      const double domain =
          s.request->domain.empty() || !(sums.weight > 0) ? 0 : sums.cost[n] / sums.weight;
      cost.push_back(w.prompt * s.prompt[n] + w.domain * domain);
    }
  }
  return cost;
}

// How much the second-best node costs more than the best, over the requests.
double MeanRegret(absl::Span<const double> cost, absl::Span<const double> weight) {
  const size_t nodes = weight.empty() ? 0 : cost.size() / weight.size();
  double sum = 0, total = 0;
  for (size_t i = 0; i < weight.size(); ++i) {
    double best = std::numeric_limits<double>::infinity(), second = best;
    for (double c : cost.subspan(i * nodes, nodes)) {
      second = std::min(second, std::max(best, c));
      best = std::min(best, c);
    }
    sum += nodes > 1 ? weight[i] * (second - best) : 0;
    total += weight[i];
  }
  return total > 0 ? sum / total : 0;
}

}  // namespace

Grouping FitGrouping(const TokenPool& pool, PhaseFilter phase, const ServeTable& serve,
                     absl::Span<const double> share, ParallelFor& parallel) {
  const int nodes = static_cast<int>(share.size());
  Grouping g;
  g.revision = 1;
  g.layers = pool.model->moe_layers;
  g.experts = pool.model->experts;
  g.nodes = nodes;
  g.affinity.resize(size_t(g.layers) * g.experts * nodes);
  parallel.Run(g.layers, [&](int l) {
    FitLayer(pool, serve, l, nodes, &g.affinity[size_t(l) * g.experts * nodes]);
  });

  std::vector<Sample> samples(pool.requests.size());
  std::vector<int> layers(g.layers);
  std::iota(layers.begin(), layers.end(), 0);
  const VisitCounter counter(*pool.model, serve, nodes, layers);
  parallel.Run(static_cast<int>(samples.size()), [&](int r) {
    samples[r] = MakeSample(*pool.model, *pool.requests[r], phase, counter, g);
  });
  std::map<std::string, Sums> domains;
  for (const Sample& s : samples) {
    Sums& sums = domains[s.request->domain];
    sums.weight += s.weight;
    sums.cost.resize(nodes, 0);
    for (int n = 0; n < nodes; ++n) {
      sums.cost[n] += s.weight * s.truth[n];
    }
  }

  const Weights w = FitWeights(samples, domains);
  const std::vector<double> cost = FittedCosts(samples, w, domains);
  std::vector<double> weight;
  for (const Sample& s : samples) {
    weight.push_back(s.weight);
  }
  g.load_price = static_cast<float>(kPriceOfAllowance * MeanRegret(cost, weight));
  for (double bias : BalancingBias(cost, weight, share, kShareTolerance)) {
    g.bias.push_back(static_cast<float>(bias));
  }
  for (float& a : g.affinity) {
    a *= static_cast<float>(w.prompt);
  }
  for (const auto& [domain, sums] : domains) {
    if (domain.empty() || !(sums.weight > 0)) {
      continue;
    }
    g.domains.push_back(domain);
    for (double of_domain : sums.cost) {
      g.domain_cost.push_back(static_cast<float>(w.domain * of_domain / sums.weight));
    }
  }
  return g;
}

}  // namespace advisor
