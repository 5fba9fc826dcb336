#include "client/engine/step_buffer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"

namespace advisor::client {
namespace {

size_t TokensOf(const ModelSpec& model, const TokenBlock& block) {
  return block.experts.size() / (size_t(model.moe_layers) * model.top_k);
}

// Rows of one domain and phase go on in one block, if both or neither say whose they are.
void AppendBlock(TokenBlock block, std::vector<TokenBlock>* blocks) {
  for (TokenBlock& into : *blocks) {
    if (into.phase == block.phase && into.domain == block.domain &&
        into.requests.empty() == block.requests.empty()) {
      into.experts.insert(into.experts.end(), block.experts.begin(), block.experts.end());
      std::move(block.requests.begin(), block.requests.end(), std::back_inserter(into.requests));
      return;
    }
  }
  blocks->push_back(std::move(block));
}

}  // namespace

absl::Status StepBuffer::Check(const ModelSpec& model, const EngineStep& step) {
  const size_t token_ids = size_t(model.moe_layers) * model.top_k;
  for (size_t i = 0; i < step.blocks.size(); ++i) {
    const TokenBlock& block = step.blocks[i];
    if (block.experts.size() % token_ids != 0) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "step %d block %d: %d expert ids, must be a multiple of %d (%d layers x top-%d)",
          step.step, i, block.experts.size(), token_ids, model.moe_layers, model.top_k));
    }
    const auto bad = std::find_if(block.experts.begin(), block.experts.end(),
                                  [&](uint16_t e) { return e >= model.experts; });
    if (bad != block.experts.end()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("step %d block %d: expert %d is out of range, must be 0 .. %d", step.step,
                          i, *bad, model.experts - 1));
    }
  }
  return absl::OkStatus();
}

bool StepBuffer::Push(EngineStep step) {
  if (tail_.merged_steps == 0 && steps_.size() < capacity_) {
    steps_.push_back(std::move(step));
    return true;
  }
  return MergeIntoTail(step);
}

bool StepBuffer::MergeIntoTail(const EngineStep& step) {
  size_t new_blocks = 0;
  uint64_t tokens = 0;
  auto find = [&](const TokenBlock& block) {
    return std::find_if(tail_.merged.begin(), tail_.merged.end(), [&](const auto& m) {
      return m.phase == block.phase && m.domain == block.domain;
    });
  };
  for (const TokenBlock& block : step.blocks) {
    new_blocks += find(block) == tail_.merged.end();
    tokens += TokensOf(model_, block);
  }
  // A message has one placement; steps under another one cannot join it.
  const bool other_placement = tail_.merged_steps != 0 && tail_.step.applied != step.applied;
  if (other_placement || tail_.merged.size() + new_blocks > kMaxMergedBlocks ||
      tail_tokens_ + tokens > kMaxMergedTokens) {
    return false;
  }
  for (const TokenBlock& block : step.blocks) {
    auto it = find(block);
    if (it == tail_.merged.end()) {
      tail_.merged.push_back({block.domain, block.phase, 0,
                              std::vector<uint32_t>(size_t(model_.moe_layers) * model_.experts)});
      it = tail_.merged.end() - 1;
    }
    it->tokens += static_cast<uint32_t>(TokensOf(model_, block));
    for (size_t i = 0; i < block.experts.size();) {  // on the engine's thread: no division
      uint32_t* row = it->counts.data();
      for (int l = 0; l < model_.moe_layers; ++l, row += model_.experts) {
        for (int k = 0; k < model_.top_k; ++k) {
          ++row[block.experts[i++]];
        }
      }
    }
  }
  tail_.step.step = step.step;
  tail_.step.applied = step.applied;
  ++tail_.merged_steps;
  tail_tokens_ += tokens;
  return true;
}

std::optional<BufferedStep> StepBuffer::Pop(size_t max_ids) {
  BufferedStep out;
  if (!steps_.empty()) {
    out.step = std::move(steps_.front());
    steps_.pop_front();
    JoinFront(&out, max_ids);
    return out;
  }
  if (tail_.merged_steps == 0) {
    return std::nullopt;
  }
  out = std::move(tail_);
  tail_ = BufferedStep{.step = {}, .merged_steps = 0, .merged = {}};
  tail_tokens_ = 0;
  return out;
}

void StepBuffer::JoinFront(BufferedStep* out, size_t max_ids) {
  size_t ids = 0;
  for (const TokenBlock& block : out->step.blocks) {
    ids += block.experts.size();
  }
  while (!steps_.empty() && steps_.front().applied == out->step.applied) {
    EngineStep& next = steps_.front();
    for (const TokenBlock& block : next.blocks) {
      ids += block.experts.size();
    }
    if (ids > max_ids || out->step.blocks.size() + next.blocks.size() > kMaxMergedBlocks) {
      return;
    }
    for (TokenBlock& block : next.blocks) {
      AppendBlock(std::move(block), &out->step.blocks);
    }
    out->step.step = next.step;
    ++out->merged_steps;
    steps_.pop_front();
  }
}

}  // namespace advisor::client
