#include "core/synth/generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "core/base/rng.h"
#include "core/base/status_macros.h"
#include "core/synth/preferences.h"

namespace advisor {
namespace {

// Independent random streams of one seed, apart from those of Preferences.
enum Stream : uint64_t { kRequest = 100, kOrder };
// And of one request.
enum RequestStream : uint64_t { kLengths, kTopic, kFirstNoise, kTokens };

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

// The top_k largest of logits[0 .. experts), largest first, ties to the lower id.
void TopK(const float* logits, int experts, int top_k, uint16_t* ids) {
  std::array<float, kMaxTopK> best;
  int held = 0;
  for (int e = 0; e < experts; ++e) {
    if (held == top_k && !(logits[e] > best[held - 1])) {
      continue;
    }
    int at = held < top_k ? held++ : held - 1;
    for (; at > 0 && logits[e] > best[at - 1]; --at) {
      best[at] = best[at - 1];
      ids[at] = ids[at - 1];
    }
    best[at] = logits[e];
    ids[at] = static_cast<uint16_t>(e);
  }
}

// Group-limited routing as in DeepSeek-V3: groups score the sum of their two best experts, and
// experts outside the best groups_per_token groups are out.
void ExcludeGroups(const ModelSpec& model, float* logits) {
  const int size = model.experts / model.expert_groups;
  std::vector<std::pair<float, int>> ranked;  // (-score, group)
  for (int g = 0; g < model.expert_groups; ++g) {
    float first = kExcluded, second = kExcluded;
    for (int e = g * size; e < (g + 1) * size; ++e) {
      second = std::max(second, std::min(first, logits[e]));
      first = std::max(first, logits[e]);
    }
    ranked.emplace_back(size > 1 ? -(first + second) : -first, g);
  }
  std::sort(ranked.begin(), ranked.end());
  for (size_t i = model.groups_per_token; i < ranked.size(); ++i) {
    float* group = logits + ranked[i].second * size;
    std::fill(group, group + size, kExcluded);
  }
}

void DrawLengths(const GeneratorOptions& o, Rng rng, Request& request) {
  constexpr double kLongest = 20;  // times the mean: one draw must not fill the memory
  const double spread = o.length_spread;
  const double factor = std::min(kLongest, std::exp(spread * rng.Normal() - spread * spread / 2));
  request.tokens = std::max(2, static_cast<int>(std::lround(o.tokens * factor)));
  const double share = o.prompt_share * (0.5 + rng.Uniform());
  request.prompt_tokens =
      std::clamp(static_cast<int>(std::lround(share * request.tokens)), 1, request.tokens - 1);
}

// The part of a token's logits that changes from token to token: block weights and noise, both
// first-order autoregressive with standard deviation 1.
class TokenState {
 public:
  TokenState(const GeneratorOptions& o, const std::vector<LogitTable>& blocks, const Rng& rng)
      : blocks_(blocks),
        keep_(static_cast<float>(o.persistence)),
        renew_(static_cast<float>(std::sqrt(1 - o.persistence * o.persistence))),
        rng_(rng.Fork(kTokens)),
        weights_(blocks.size()),
        noise_(NormalTable(o.model, rng.Fork(kFirstNoise))) {
    for (float& w : weights_) {
      w = FastNormal(rng_);
    }
  }

  void NextToken() {
    for (float& w : weights_) {
      w = keep_ * w + renew_ * FastNormal(rng_);
    }
  }

  // Adds to the logits of `count` experts from table cell `first` on, and moves their noise on.
  void AddTo(float* logits, size_t first, int count) {
    for (size_t b = 0; b < blocks_.size(); ++b) {
      const float* membership = &blocks_[b][first];
      for (int e = 0; e < count; ++e) {
        logits[e] += weights_[b] * membership[e];
      }
    }
    float* noise = &noise_[first];
    for (int e = 0; e < count; ++e) {
      noise[e] = keep_ * noise[e] + renew_ * FastNormal(rng_);
      logits[e] += noise[e];
    }
  }

 private:
  const std::vector<LogitTable>& blocks_;
  float keep_, renew_;
  Rng rng_;
  std::vector<float> weights_;
  LogitTable noise_;
};

// Chooses the experts of every token of one request.
void RouteTokens(const GeneratorOptions& o, const Preferences& preferences, int domain,
                 const Rng& rng, Request& request) {
  const ModelSpec& m = o.model;
  const bool limited = m.groups_per_token > 0 && m.groups_per_token < m.expert_groups;
  const LogitTable topic = preferences.DrawDirection(rng.Fork(kTopic));
  std::array<LogitTable, kPhases> preferred;
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    preferred[static_cast<int>(phase)] = preferences.Domain(domain, phase);
    AddScaled(topic, o.topic_skew, preferred[static_cast<int>(phase)]);
  }
  TokenState state(o, preferences.blocks(), rng);
  std::vector<float> logits(m.experts);
  request.experts.resize(size_t(request.tokens) * m.moe_layers * m.top_k);
  uint16_t* ids = request.experts.data();
  for (int t = 0; t < request.tokens; ++t) {
    const Phase phase = t < request.prompt_tokens ? Phase::kPrefill : Phase::kDecode;
    state.NextToken();
    for (int l = 0; l < m.moe_layers; ++l, ids += m.top_k) {
      const size_t row = size_t(l) * m.experts;
      const float* base = &preferred[static_cast<int>(phase)][row];
      std::copy(base, base + m.experts, logits.begin());
      state.AddTo(logits.data(), row, m.experts);
      if (limited) {
        ExcludeGroups(m, logits.data());
      }
      TopK(logits.data(), m.experts, m.top_k, ids);
    }
  }
}

Request MakeRequest(const GeneratorOptions& o, const Preferences& preferences, int number) {
  const int domain = number % o.domains;
  const Rng rng = Rng(o.seed).Fork(kRequest).Fork(number);
  Request request;
  request.domain = SyntheticDomainName(domain);
  request.id = absl::StrFormat("%s-%04d", request.domain, number / o.domains);
  DrawLengths(o, rng.Fork(kLengths), request);
  RouteTokens(o, preferences, domain, rng, request);
  return request;
}

}  // namespace

absl::StatusOr<Traffic> Generate(const GeneratorOptions& options) {
  RETURN_IF_ERROR(Validate(options));
  const Preferences preferences(options);
  Traffic traffic;
  traffic.model = options.model;
  traffic.source = absl::StrFormat("synthetic: %s, %d domains, seed %d", options.model.name,
                                   options.domains, options.seed);
  for (int i = 0; i < options.requests; ++i) {
    traffic.requests.push_back(MakeRequest(options, preferences, i));
  }
  Rng order = Rng(options.seed).Fork(kOrder);
  for (size_t i = traffic.requests.size() - 1; i > 0; --i) {
    std::swap(traffic.requests[i], traffic.requests[order.Below(static_cast<uint32_t>(i + 1))]);
  }
  return traffic;
}

}  // namespace advisor
