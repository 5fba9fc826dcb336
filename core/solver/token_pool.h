#ifndef ADVISOR_CORE_SOLVER_TOKEN_POOL_H_
#define ADVISOR_CORE_SOLVER_TOKEN_POOL_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/model/phase.h"
#include "core/model/request.h"

namespace advisor {

// One token of the solver's traffic with all its layers.
struct PooledToken {
  const uint16_t* experts = nullptr;  // [layers, top_k], owned by the traffic
  int32_t request = 0;                // index into TokenPool::requests
  int32_t weight = 0;                 // how much a remote visit of it counts
  int32_t load_set = 0;               // -1: outside the phase, not part of any load
};

struct TokenPoolOptions {
  PhaseFilter phase = PhaseFilter::kAll;  // the traffic that is minimised and balanced
  // Weight of tokens outside `phase`, which resemble it: more data against overfitting.
  double other_phase_weight = 0;
  // Above this many, tokens are thinned evenly over every request and count for more.
  int max_tokens = 1 << 30;
};

// The traffic as the solver works on it: requests in canonical order (by id), so that the order of
// arrival does not matter, and one flat list of the tokens that count, with integer weights.
struct TokenPool {
  const ModelSpec* model = nullptr;
  std::vector<const Request*> requests;  // sorted by id
  std::vector<int> source;               // [requests] index in the traffic
  // [requests] home tokens: tokens of the phase, times the request's weight.
  std::vector<double> demand;
  std::vector<PooledToken> tokens;   // by request
  std::vector<int32_t> first_token;  // [requests + 1]
  // [requests] per activation, for requests known by sums; else 0.
  std::vector<int32_t> lone_weight;
  int load_sets = 1;  // kAll with whole tokens: prefill and decode are balanced each on its own
};

// Asks for the experts of a token some way ahead of `token`: pooled tokens lie far apart in memory.
inline void FetchAhead(const TokenPool& pool, const PooledToken& token, int layer) {
  constexpr ptrdiff_t kAhead = 8;
  const PooledToken* end = pool.tokens.data() + pool.tokens.size();
  if (end - &token > kAhead) {
    __builtin_prefetch((&token + kAhead)->experts + size_t(layer) * pool.model->top_k);
  }
}

// `traffic` must outlive the pool. `subset` (indices into traffic.requests) restricts it; empty:
// every request.
TokenPool MakeTokenPool(const Traffic& traffic, absl::Span<const int> subset,
                        const TokenPoolOptions& options);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_TOKEN_POOL_H_
