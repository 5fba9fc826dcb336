#include "client/agent/sampler.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/base/fingerprint.h"

namespace advisor::client {
namespace {

constexpr int kBurst = 4;               // budgets that one frame may hold per domain
constexpr double kSmoothing = 0.25;     // weight of the newest frame in the mean
constexpr double kThresholdStep = 0.7;  // how far one frame moves the threshold

}  // namespace

uint64_t RequestKey(std::string_view request_id) {
  return Fingerprint().AddBytes(request_id.data(), request_id.size()).value();
}

Sampler::Sampler(size_t token_bytes, int tokens_per_frame)
    : token_bytes_(token_bytes), budget_(tokens_per_frame) {}

void Sampler::Add(int domain, Phase phase, uint64_t key, const char* rows, uint32_t tokens) {
  if (budget_ <= 0 || tokens == 0) {
    return;
  }
  Domain& d = Activate(domain);
  auto it = seen_.find(key);
  if (it == seen_.end()) {
    if (seen_.size() >= kMaxSeen) {
      return;
    }
    it = seen_.try_emplace(key).first;
    it->second.taken = Mix64(key) <= d.threshold;
  }
  Seen& seen = it->second;
  const uint32_t first = seen.tokens[static_cast<int>(phase)];
  seen.tokens[static_cast<int>(phase)] += tokens;
  seen.frame = frame_;
  if (seen.taken) {
    Append(&d, phase, key, first, rows, tokens);
  }
}

void Sampler::AddRow(int domain, Phase phase, uint64_t key, const char* row) {
  if (budget_ <= 0) {
    return;
  }
  Domain& d = Activate(domain);
  if (Mix64(key) <= d.threshold) {
    Append(&d, phase, key, 0, row, 1);
  }
}

Sampler::Domain& Sampler::Activate(int domain) {
  if (static_cast<size_t>(domain) >= domains_.size()) {
    domains_.resize(domain + 1);
  }
  domains_[domain].active = true;
  return domains_[domain];
}

void Sampler::Append(Domain* domain, Phase phase, uint64_t key, uint32_t first_token,
                     const char* rows, uint32_t tokens) {
  const size_t limit = size_t(kBurst) * budget_;
  Piece* piece = FindOrAdd(domain, phase, key, first_token);
  const size_t held = piece->rows.size() / token_bytes_;
  const size_t take = std::min<size_t>(tokens, limit - std::min(held, limit));
  piece->rows.append(rows, take * token_bytes_);
  domain->tokens += take;
  while (domain->tokens > limit && domain->pieces.size() > 1) {
    DropLargest(domain);
  }
}

Sampler::Piece* Sampler::FindOrAdd(Domain* domain, Phase phase, uint64_t key,
                                   uint32_t first_token) {
  for (Piece& piece : domain->pieces) {
    if (piece.key == key && piece.phase == phase) {
      return &piece;
    }
  }
  domain->pieces.push_back({key, phase, first_token, {}});
  return &domain->pieces.back();
}

// Gives up the request that ranks last, and every request from there on.
void Sampler::DropLargest(Domain* domain) {
  uint64_t largest = 0, rank = 0;
  for (const Piece& piece : domain->pieces) {
    if (Mix64(piece.key) >= rank) {
      largest = piece.key;
      rank = Mix64(piece.key);
    }
  }
  const bool only_one = std::all_of(domain->pieces.begin(), domain->pieces.end(),
                                    [&](const Piece& piece) { return piece.key == largest; });
  if (only_one) {
    // Prompt and continuation of one request: the continuation is what later frames go on with.
    std::erase_if(domain->pieces, [&](const Piece& piece) {
      if (piece.phase != Phase::kPrefill) {
        return false;
      }
      domain->tokens -= piece.rows.size() / token_bytes_;
      return true;
    });
    return;
  }
  std::erase_if(domain->pieces, [&](const Piece& piece) {
    if (piece.key != largest) {
      return false;
    }
    domain->tokens -= piece.rows.size() / token_bytes_;
    return true;
  });
  domain->threshold = std::min(domain->threshold, rank - 1);
  if (auto it = seen_.find(largest); it != seen_.end()) {
    it->second.taken = false;
  }
}

std::vector<SampledRequest> Sampler::Take(const std::vector<std::string>& domains) {
  std::vector<SampledRequest> out;
  for (size_t i = 0; i < domains_.size(); ++i) {
    Domain& d = domains_[i];
    std::sort(d.pieces.begin(), d.pieces.end(), [](const Piece& a, const Piece& b) {
      return std::tie(a.key, a.phase) < std::tie(b.key, b.phase);
    });
    for (Piece& piece : d.pieces) {
      if (!piece.rows.empty()) {
        out.push_back(
            {piece.key, domains[i], piece.phase, piece.first_token, std::move(piece.rows)});
      }
    }
    if (d.active) {
      d.mean_tokens += kSmoothing * (static_cast<double>(d.tokens) - d.mean_tokens);
      constexpr double kMax = static_cast<double>(std::numeric_limits<uint64_t>::max());
      const double threshold = static_cast<double>(d.threshold);
      if (d.mean_tokens > 1.5 * budget_) {
        d.threshold = static_cast<uint64_t>(threshold * kThresholdStep);
      } else if (d.mean_tokens < 0.75 * budget_) {
        d.threshold = threshold / kThresholdStep >= kMax
                          ? std::numeric_limits<uint64_t>::max()
                          : static_cast<uint64_t>(threshold / kThresholdStep);
      }
    }
    d.pieces.clear();
    d.tokens = 0;
    d.active = false;
  }
  ++frame_;
  Forget();
  return out;
}

void Sampler::Forget() {
  if (frame_ % kForgetAfterFrames == 0 || seen_.size() >= kMaxSeen) {
    absl::erase_if(
        seen_, [&](const auto& entry) { return frame_ - entry.second.frame > kForgetAfterFrames; });
  }
}

}  // namespace advisor::client
