#include "core/solver/token_pool.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace advisor {
namespace {

// A layer's gain table sums token weights into 32 bits; this keeps every sum below 2^30.
constexpr double kMaxTotalWeight = 1 << 28;
// The integer weight of one token of weight 1, so that fractions of a token survive rounding.
constexpr double kWeightUnit = 64;

std::vector<int> CanonicalOrder(const Traffic& traffic, absl::Span<const int> subset) {
  std::vector<int> order(subset.begin(), subset.end());
  if (subset.empty()) {
    order.resize(traffic.requests.size());
    std::iota(order.begin(), order.end(), 0);
  }
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    const int by_id = traffic.requests[a].id.compare(traffic.requests[b].id);
    return by_id != 0 ? by_id < 0 : a < b;
  });
  return order;
}

double TokenWeight(const Request& r, int token, const TokenPoolOptions& options) {
  const Phase phase = token < r.prompt_tokens ? Phase::kPrefill : Phase::kDecode;
  return r.weight * (Includes(options.phase, phase) ? 1 : options.other_phase_weight);
}

double TotalWeight(const TokenPool& pool, const TokenPoolOptions& options) {
  double total = 0;
  for (const Request* r : pool.requests) {
    if (r->counts_only()) {
      total += r->weight * r->tokens;
      continue;
    }
    total += r->prompt_tokens * TokenWeight(*r, 0, options) +
             (r->tokens - r->prompt_tokens) * TokenWeight(*r, r->tokens, options);
  }
  return total;
}

int64_t CountTokens(const TokenPool& pool, const TokenPoolOptions& options) {
  int64_t count = 0;
  for (const Request* r : pool.requests) {
    for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
      if (!r->counts_only() && (Includes(options.phase, phase) || options.other_phase_weight > 0)) {
        count += phase == Phase::kPrefill ? r->prompt_tokens : r->tokens - r->prompt_tokens;
      }
    }
  }
  return count;
}

}  // namespace

TokenPool MakeTokenPool(const Traffic& traffic, absl::Span<const int> subset,
                        const TokenPoolOptions& options) {
  TokenPool pool;
  pool.model = &traffic.model;
  pool.source = CanonicalOrder(traffic, subset);
  bool phases_known = false;  // sums stand for every phase alike
  for (int i : pool.source) {
    pool.requests.push_back(&traffic.requests[i]);
    phases_known |= !traffic.requests[i].counts_only();
  }
  pool.load_sets = options.phase == PhaseFilter::kAll && phases_known ? 2 : 1;
  // Every `stride`-th token counted over all requests is kept and stands for `stride`.
  const double stride = std::max(1.0, double(CountTokens(pool, options)) / options.max_tokens);
  const double unit =
      std::min(kWeightUnit, kMaxTotalWeight / std::max(1.0, TotalWeight(pool, options)));
  double phase_of_stride = 0;
  for (size_t r = 0; r < pool.requests.size(); ++r) {
    const Request& request = *pool.requests[r];
    pool.first_token.push_back(static_cast<int32_t>(pool.tokens.size()));
    const int in_phase = request.counts_only() ? request.tokens
                                               : request.end_token(options.phase) -
                                                     request.first_token(options.phase);
    pool.demand.push_back(request.weight * in_phase);
    pool.lone_weight.push_back(0);
    if (request.counts_only()) {
      pool.lone_weight.back() = std::max(1, static_cast<int>(std::lround(request.weight * unit)));
      continue;
    }
    for (int t = 0; t < request.tokens; ++t) {
      const double weight = TokenWeight(request, t, options);
      if (weight <= 0) {
        continue;
      }
      phase_of_stride += 1;
      if (phase_of_stride < stride) {
        continue;
      }
      phase_of_stride -= stride;
      const Phase phase = t < request.prompt_tokens ? Phase::kPrefill : Phase::kDecode;
      const int set = !Includes(options.phase, phase) ? -1
                      : pool.load_sets == 2           ? static_cast<int>(phase)
                                                      : 0;
      const int rounded = std::max(1, static_cast<int>(std::lround(weight * stride * unit)));
      pool.tokens.push_back(
          {request.token(traffic.model, t, 0), static_cast<int32_t>(r), rounded, set});
    }
  }
  pool.first_token.push_back(static_cast<int32_t>(pool.tokens.size()));
  return pool;
}

}  // namespace advisor
