#ifndef ADVISOR_CLIENT_ENGINE_STEP_BUFFER_H_
#define ADVISOR_CLIENT_ENGINE_STEP_BUFFER_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/model/model_spec.h"
#include "core/model/phase.h"
#include "core/model/plan.h"

namespace advisor::client {

// Tokens of one domain and phase in one step, as the engine hands them over.
struct TokenBlock {
  std::string domain;  // may be empty
  Phase phase = Phase::kDecode;
  std::vector<uint16_t> experts;  // [tokens, layers, top_k]
  struct Rows {
    std::string request_id;
    uint32_t tokens = 0;
  };
  // In row order, adding up to all tokens; empty: every row its own request.
  std::vector<Rows> requests;
};

struct EngineStep {
  uint64_t step = 0;  // grows
  Position applied;   // placement in force in this step; {0, 0}: the engine's initial one
  std::vector<TokenBlock> blocks;  // one per domain and phase
};

// One message to the agent: a step, several joined, or several merged into counts.
struct BufferedStep {
  EngineStep step;  // number and placement of the last one; its blocks unless merged
  uint32_t merged_steps = 1;
  struct CountBlock {
    std::string domain;
    Phase phase = Phase::kDecode;
    uint32_t tokens = 0;
    std::vector<uint32_t> counts;  // [layers, experts]
  };
  std::vector<CountBlock> merged;  // of merged steps
};

// The bounded buffer between an engine and the agent: the last `capacity` steps whole; when the
// agent lags further, steps are added up as counts, and a step that cannot be added up is lost and
// counted. Steps come out in order. Not thread-safe.
class StepBuffer {
 public:
  StepBuffer(const ModelSpec& model, size_t capacity) : model_(model), capacity_(capacity) {}

  // False: lost. `step` must have passed Check().
  bool Push(EngineStep step);
  // The oldest step, joined with those after it that have the same placement into one message of
  // whole tokens, up to about `max_ids` expert ids.
  std::optional<BufferedStep> Pop(size_t max_ids = 0);
  bool empty() const { return steps_.empty() && tail_.merged_steps == 0; }
  size_t size() const { return steps_.size() + (tail_.merged_steps != 0); }

  // INVALID_ARGUMENT: a size or expert out of range.
  static absl::Status Check(const ModelSpec& model, const EngineStep& step);

 private:
  static constexpr size_t kMaxMergedBlocks = 128;
  static constexpr uint64_t kMaxMergedTokens = 1ull << 28;
  bool MergeIntoTail(const EngineStep& step);
  void JoinFront(BufferedStep* out, size_t max_ids);

  ModelSpec model_;
  size_t capacity_;
  std::deque<EngineStep> steps_;
  BufferedStep tail_{
      .step = {}, .merged_steps = 0, .merged = {}};  // merged steps, after all of steps_
  uint64_t tail_tokens_ = 0;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_ENGINE_STEP_BUFFER_H_
