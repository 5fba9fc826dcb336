#ifndef ADVISOR_CLIENT_AGENT_SAMPLER_H_
#define ADVISOR_CLIENT_AGENT_SAMPLER_H_

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/session/messages.h"

namespace advisor::client {

// Hash of a request id that every agent computes alike, so that equal ids are one request.
uint64_t RequestKey(std::string_view request_id);

// Chooses whole requests whose tokens travel with the counts, per domain about `tokens_per_frame`
// tokens a frame.
//
// A request is taken when its key's hash (as the daemon ranks samples: Mix64) lies below the
// domain's threshold at its first row, so the choice does not depend on order and the whole fleet
// chooses alike; once taken it is followed to its end. The threshold moves between frames towards
// the wanted rate. Bounds: a frame holds at most 4 budgets per domain (the last in rank go first,
// and for good), of a request at most 4 budgets per phase; kMaxSeen live requests are remembered,
// beyond that new ones are not taken. Not thread-safe.
class Sampler {
 public:
  // token_bytes: bytes of one token's expert ids. tokens_per_frame 0: takes nothing.
  Sampler(size_t token_bytes, int tokens_per_frame);

  void SetTokensPerFrame(int tokens) { budget_ = tokens; }
  // `rows` are the next `tokens` tokens of request `key` in `phase`. `domain` is a small dense
  // index.
  void Add(int domain, Phase phase, uint64_t key, const char* rows, uint32_t tokens);
  // One token that is a request of its own; `key` is new.
  void AddRow(int domain, Phase phase, uint64_t key, const char* row);
  // What was taken since the last call, ordered by domain, key, phase; starts a new frame.
  // `domains[i]` names domain i.
  std::vector<SampledRequest> Take(const std::vector<std::string>& domains);

 private:
  static constexpr size_t kMaxSeen = 16384;
  static constexpr uint32_t kForgetAfterFrames = 64;
  struct Seen {
    uint32_t tokens[kPhases] = {0, 0};
    uint32_t frame = 0;
    bool taken = false;
  };
  struct Piece {
    uint64_t key = 0;
    Phase phase = Phase::kDecode;
    uint32_t first_token = 0;
    std::string rows;
  };
  struct Domain {
    uint64_t threshold = std::numeric_limits<uint64_t>::max();
    double mean_tokens = 0;  // per frame, smoothed
    uint64_t tokens = 0;     // in `pieces`
    bool active = false;     // saw a token in this frame
    std::vector<Piece> pieces;
  };
  Domain& Activate(int domain);
  void Append(Domain* domain, Phase phase, uint64_t key, uint32_t first_token, const char* rows,
              uint32_t tokens);
  Piece* FindOrAdd(Domain* domain, Phase phase, uint64_t key, uint32_t first_token);
  void DropLargest(Domain* domain);
  void Forget();

  size_t token_bytes_;
  int budget_;
  uint32_t frame_ = 0;
  std::vector<Domain> domains_;
  absl::flat_hash_map<uint64_t, Seen> seen_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_SAMPLER_H_
