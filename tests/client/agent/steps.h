#ifndef ADVISOR_TESTS_CLIENT_AGENT_STEPS_H_
#define ADVISOR_TESTS_CLIENT_AGENT_STEPS_H_

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "client/agent/step.h"
#include "core/base/rng.h"
#include "core/model/model_spec.h"
#include "tests/support/random_traffic.h"

namespace advisor::client::testing {

// Steps with the memory that their views point into.
class StepBuilder {
 public:
  StepBuilder(uint64_t number, Position applied = {}) {
    step_.step = number;
    step_.applied = applied;
  }
  // Whole tokens; ids of 1 byte.
  StepBuilder& Tokens(const ModelSpec& model, std::string domain, Phase phase,
                      const std::vector<uint16_t>& ids, std::vector<RequestRows> rows = {}) {
    StepBlock block;
    block.domain = Keep(std::move(domain));
    block.phase = phase;
    block.tokens = static_cast<uint32_t>(ids.size() / (size_t(model.moe_layers) * model.top_k));
    block.experts = Keep(std::string(ids.begin(), ids.end()));
    rows_.push_back(std::move(rows));
    block.requests = rows_.back();
    blocks_.push_back(block);
    return *this;
  }
  StepBuilder& Counts(std::string domain, Phase phase, uint32_t tokens, std::string bytes,
                      int width = 1) {
    StepBlock block;
    block.domain = Keep(std::move(domain));
    block.phase = phase;
    block.tokens = tokens;
    counts_.push_back({width, false, std::move(bytes)});
    block.counts = &counts_.back();
    blocks_.push_back(block);
    return *this;
  }
  StepBuilder& Merged(uint32_t steps) {
    step_.merged_steps = steps;
    return *this;
  }
  const Step& step() {
    step_.blocks = blocks_;
    return step_;
  }

 private:
  std::string_view Keep(std::string text) {
    kept_.push_back(std::move(text));
    return kept_.back();
  }
  std::deque<std::string> kept_;
  std::deque<std::vector<RequestRows>> rows_;
  std::deque<EncodedCounts> counts_;
  std::vector<StepBlock> blocks_;
  Step step_;
};

// Expert ids of `tokens` random tokens.
inline std::vector<uint16_t> RandomIds(const ModelSpec& model, int tokens, Rng* rng) {
  return advisor::testing::RandomRequest(model, "r", tokens, 0,
                                         static_cast<int>(rng->Below(model.experts)), rng)
      .experts;
}

}  // namespace advisor::client::testing

#endif  // ADVISOR_TESTS_CLIENT_AGENT_STEPS_H_
