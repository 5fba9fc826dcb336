#ifndef ADVISOR_CORE_MODEL_REQUEST_H_
#define ADVISOR_CORE_MODEL_REQUEST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/model/model_spec.h"
#include "core/model/phase.h"

namespace advisor {

// What is known of one request: every token with its experts, or only sums.
struct Request {
  std::string id;      // printable, at most 256 bytes
  std::string domain;  // may be empty: the advisor then finds its own clusters
  int tokens = 0;
  int prompt_tokens = 0;          // the first so many tokens are prefill, the rest decode
  std::vector<uint16_t> experts;  // [tokens, moe_layers, top_k]; empty when only sums are known
  std::vector<uint32_t> counts;   // [moe_layers, experts]; only when `experts` is empty
  double weight = 1;              // how many such requests this one stands for (sampling)
  // Since the start of the trace; order alone counts where it is unset.
  std::optional<double> arrival_ms;

  bool counts_only() const { return experts.empty() && !counts.empty(); }
  int first_token(PhaseFilter phase) const {
    return phase == PhaseFilter::kDecode ? prompt_tokens : 0;
  }
  int end_token(PhaseFilter phase) const {
    return phase == PhaseFilter::kPrefill ? prompt_tokens : tokens;
  }
  // Tokens that enter figures of `phase`: those known only by sums enter every phase.
  int tokens_in(PhaseFilter phase) const {
    return counts_only() ? tokens : end_token(phase) - first_token(phase);
  }
  // The top_k experts of one token in one layer. Only with `experts`.
  const uint16_t* token(const ModelSpec& model, int token, int layer) const {
    return &experts[(size_t(token) * model.moe_layers + layer) * model.top_k];
  }
  // Asks for the experts of a token some way ahead of `token`: in a pass over one layer tokens lie
  // so far apart that nothing else does.
  void FetchAhead(const ModelSpec& model, int token, int layer) const {
    constexpr int kAhead = 8;
    if (token + kAhead < tokens) {
      __builtin_prefetch(this->token(model, token + kAhead, layer));
    }
  }
};

// Requests in arrival order. A routing trace, or what a window has sampled.
struct Traffic {
  ModelSpec model;
  std::string source;
  std::vector<Request> requests;
};

// A token's layers lie side by side, so many of top-8 in a cache line: what goes over all tokens
// takes so many layers at once.
inline constexpr int kLayersAtOnce = 4;

// INVALID_ARGUMENT naming the request, its token and layer: an expert out of range, one expert
// twice in a token's top-k, prompt_tokens outside 0 .. tokens, a wrong size, counts whose layers do
// not each sum to tokens x top_k.
absl::Status Validate(const ModelSpec& model, const Request& request);

// Adds one layer's expert choices over a request's tokens of `phase` to `out` [experts], each with
// the request's weight (requests known by counts add them for every phase).
void AddDemand(const ModelSpec& model, const Request& request, PhaseFilter phase, int layer,
               double* out);

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_REQUEST_H_
