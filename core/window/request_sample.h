#ifndef ADVISOR_CORE_WINDOW_REQUEST_SAMPLE_H_
#define ADVISOR_CORE_WINDOW_REQUEST_SAMPLE_H_

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "core/model/model_spec.h"
#include "core/model/phase.h"
#include "core/window/counts.h"
#include "core/window/report.h"

namespace advisor {

// Bytes of one token's expert ids as agents send and samples keep them.
constexpr size_t TokenBytes(const ModelSpec& model) {
  return size_t(model.moe_layers) * model.top_k * (model.experts <= 256 ? 1 : 2);
}

// What is known whole of one request.
struct SampledTokens {
  uint64_t key = 0;
  uint64_t last_bucket = 0;   // bucket of the reporter that brought its latest row
  std::string rows[kPhases];  // encoded tokens in order, TokenBytes() each
  uint32_t next_token[kPhases] = {0,
                                  0};  // position after the last row; earlier ones are duplicates
};

// Whole tokens of one domain from one reporter, at most `max_tokens` of them. Kept are the requests
// whose hashed key is smallest (bottom-k sampling without a generator): the content is a function
// of the rows added, and samples of different reporters are parts of one sample. A request leaves
// `buckets` buckets after its latest row. Not thread-safe.
class RequestSample {
 public:
  // Sampling order: by hash of the key, then key.
  using Rank = std::pair<uint64_t, uint64_t>;
  static Rank RankOf(uint64_t key);

  explicit RequestSample(uint32_t max_tokens) : max_tokens_(max_tokens) {}

  // Adds rows that passed CheckSample(). Rows already known are skipped.
  void Add(const ModelSpec& model, const SampledRequest& sample, uint64_t bucket);
  // Forgets requests whose latest row is older than `oldest_bucket`.
  void Expire(const ModelSpec& model, uint64_t oldest_bucket);

  const std::map<Rank, SampledTokens>& requests() const { return requests_; }
  uint32_t tokens() const { return tokens_; }

 private:
  uint32_t TokensOf(const ModelSpec& model, const SampledTokens& request) const;

  uint32_t max_tokens_;
  uint32_t tokens_ = 0;
  // Requests ranked at or after one that had to leave stay out, so that none is kept in part.
  Rank admitted_below_ = {std::numeric_limits<uint64_t>::max(),
                          std::numeric_limits<uint64_t>::max()};
  std::map<Rank, SampledTokens> requests_;
};

// Sampled rows must be whole tokens whose ids are in range and differ within a layer.
std::optional<CountsFault> CheckSample(const ModelSpec& model, const SampledRequest& sample);

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_REQUEST_SAMPLE_H_
