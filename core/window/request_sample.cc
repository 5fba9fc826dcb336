#include "core/window/request_sample.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_format.h"
#include "core/base/rng.h"

namespace advisor {
namespace {

// First (token, layer) pair whose ids break a rule, else -1.
template <typename Id>
int64_t FirstBadRow(const ModelSpec& model, const std::string& rows) {
  uint64_t seen[(kMaxExperts + 63) / 64];
  const size_t pairs = rows.size() / (model.top_k * sizeof(Id));
  const int words = (model.experts + 63) / 64;
  for (size_t pair = 0; pair < pairs; ++pair) {
    std::fill_n(seen, words, 0);
    for (int i = 0; i < model.top_k; ++i) {
      Id id;
      std::memcpy(&id, rows.data() + (pair * model.top_k + i) * sizeof(Id), sizeof(Id));
      if (id >= model.experts || (seen[id / 64] >> (id % 64) & 1) != 0) {
        return static_cast<int64_t>(pair);
      }
      seen[id / 64] |= uint64_t{1} << (id % 64);
    }
  }
  return -1;
}

}  // namespace

std::optional<CountsFault> CheckSample(const ModelSpec& model, const SampledRequest& sample) {
  const size_t token_bytes = TokenBytes(model);
  if (sample.experts.empty() || sample.experts.size() % token_bytes != 0) {
    return CountsFault{RejectReason::kSample, 0,
                       absl::StrFormat("%d bytes of sampled tokens, must be a multiple of %d",
                                       sample.experts.size(), token_bytes)};
  }
  const int64_t bad = model.experts <= 256 ? FirstBadRow<uint8_t>(model, sample.experts)
                                           : FirstBadRow<uint16_t>(model, sample.experts);
  if (bad < 0) {
    return std::nullopt;
  }
  return CountsFault{
      RejectReason::kSample, static_cast<int>(bad % model.moe_layers),
      absl::StrFormat("sampled token %d names an expert twice or one beyond %d",
                      sample.first_token + bad / model.moe_layers, model.experts - 1)};
}

RequestSample::Rank RequestSample::RankOf(uint64_t key) { return {Mix64(key), key}; }

uint32_t RequestSample::TokensOf(const ModelSpec& model, const SampledTokens& request) const {
  return static_cast<uint32_t>((request.rows[0].size() + request.rows[1].size()) /
                               TokenBytes(model));
}

void RequestSample::Add(const ModelSpec& model, const SampledRequest& sample, uint64_t bucket) {
  const Rank rank = RankOf(sample.request_key);
  if (rank >= admitted_below_) {
    return;
  }
  const size_t token_bytes = TokenBytes(model);
  SampledTokens& request = requests_[rank];
  request.key = sample.request_key;
  request.last_bucket = bucket;
  const int phase = static_cast<int>(sample.phase);
  const auto rows = static_cast<uint32_t>(sample.experts.size() / token_bytes);
  const uint32_t end = sample.first_token + rows;
  uint32_t known = 0;
  if (sample.first_token < request.next_token[phase]) {
    known = std::min(rows, request.next_token[phase] - sample.first_token);
  }
  const uint32_t room = max_tokens_ - std::min(max_tokens_, TokensOf(model, request));
  const uint32_t added = std::min(rows - known, room);
  request.rows[phase].append(sample.experts, known * token_bytes, added * token_bytes);
  request.next_token[phase] = std::max(request.next_token[phase], end);
  tokens_ += added;
  while (tokens_ > max_tokens_) {
    const auto last = std::prev(requests_.end());
    admitted_below_ = last->first;
    tokens_ -= TokensOf(model, last->second);
    requests_.erase(last);
  }
}

void RequestSample::Expire(const ModelSpec& model, uint64_t oldest_bucket) {
  for (auto it = requests_.begin(); it != requests_.end();) {
    if (it->second.last_bucket < oldest_bucket) {
      tokens_ -= TokensOf(model, it->second);
      it = requests_.erase(it);
    } else {
      ++it;
    }
  }
  if (tokens_ < max_tokens_ / 2) {
    admitted_below_ = {std::numeric_limits<uint64_t>::max(), std::numeric_limits<uint64_t>::max()};
  }
}

}  // namespace advisor
