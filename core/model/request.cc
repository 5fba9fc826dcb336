#include "core/model/request.h"

#include "absl/strings/str_format.h"

namespace advisor {
namespace {

absl::Status ValidateTokens(const ModelSpec& model, const Request& r) {
  const size_t want = size_t(r.tokens) * model.moe_layers * model.top_k;
  if (r.experts.size() != want) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request \"%s\": %d expert ids, must be tokens x layers x top_k = %d", r.id,
                        r.experts.size(), want));
  }
  for (int t = 0; t < r.tokens; ++t) {
    for (int l = 0; l < model.moe_layers; ++l) {
      const uint16_t* ids = r.token(model, t, l);
      for (int i = 0; i < model.top_k; ++i) {
        if (ids[i] >= model.experts) {
          return absl::InvalidArgumentError(
              absl::StrFormat("request \"%s\" token %d layer %d: expert %d, must be below %d", r.id,
                              t, l, ids[i], model.experts));
        }
        for (int j = 0; j < i; ++j) {
          if (ids[j] == ids[i]) {
            return absl::InvalidArgumentError(absl::StrFormat(
                "request \"%s\" token %d layer %d: expert %d is named twice", r.id, t, l, ids[i]));
          }
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateCounts(const ModelSpec& model, const Request& r) {
  const size_t want = size_t(model.moe_layers) * model.experts;
  if (r.counts.size() != want) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "request \"%s\": %d counts, must be layers x experts = %d", r.id, r.counts.size(), want));
  }
  for (int l = 0; l < model.moe_layers; ++l) {
    uint64_t sum = 0;
    for (int e = 0; e < model.experts; ++e) {
      sum += r.counts[size_t(l) * model.experts + e];
    }
    if (sum != uint64_t(r.tokens) * model.top_k) {
      return absl::InvalidArgumentError(
          absl::StrFormat("request \"%s\" layer %d: counts sum to %d, must be tokens x top_k = %d",
                          r.id, l, sum, uint64_t(r.tokens) * model.top_k));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const ModelSpec& model, const Request& r) {
  if (r.prompt_tokens < 0 || r.prompt_tokens > r.tokens) {
    return absl::InvalidArgumentError(
        absl::StrFormat("request \"%s\": prompt_tokens is %d, must be 0 .. %d (its tokens)", r.id,
                        r.prompt_tokens, r.tokens));
  }
  return r.counts_only() ? ValidateCounts(model, r) : ValidateTokens(model, r);
}

void AddDemand(const ModelSpec& model, const Request& r, PhaseFilter phase, int layer,
               double* out) {
  if (r.counts_only()) {
    for (int e = 0; e < model.experts; ++e) {
      out[e] += r.weight * r.counts[size_t(layer) * model.experts + e];
    }
    return;
  }
  for (int t = r.first_token(phase); t < r.end_token(phase); ++t) {
    r.FetchAhead(model, t, layer);
    const uint16_t* ids = r.token(model, t, layer);
    for (int i = 0; i < model.top_k; ++i) {
      out[ids[i]] += r.weight;
    }
  }
}

}  // namespace advisor
