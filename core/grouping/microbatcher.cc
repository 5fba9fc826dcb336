#include "core/grouping/microbatcher.h"

#include <algorithm>

namespace advisor {
namespace {

// Half of a profile is forgotten after about 44 requests.
constexpr float kFade = 1 - 1.0f / 64;

}  // namespace

MicrobatchProfile::MicrobatchProfile(int layers, int experts)
    : layers_(layers), experts_(experts), share_(size_t(layers) * experts, 0) {}

double MicrobatchProfile::NewExperts(const Prompt& prompt) const {
  static_assert(kRequestsTogether == 8, "the power below is three squarings");
  const float scale = weight_ > 0 ? 1 / weight_ : 0;
  double sum = 0;
  for (const PromptCount& c : prompt.counts) {
    if (c.layer < layers_ && c.expert < experts_) {
      float untouched = 1 - scale * share_[size_t(c.layer) * experts_ + c.expert];
      untouched *= untouched;
      untouched *= untouched;
      untouched *= untouched;
      sum += double{untouched} * c.count;
    }
  }
  return prompt.tokens > 0 ? sum / prompt.tokens : 0;
}

void MicrobatchProfile::Add(const Prompt& prompt, float fade) {
  if (prompt.tokens <= 0) {
    return;
  }
  for (float& share : share_) {
    share *= fade;
  }
  weight_ = weight_ * fade + 1;
  for (const PromptCount& c : prompt.counts) {
    if (c.layer < layers_ && c.expert < experts_) {
      share_[size_t(c.layer) * experts_ + c.expert] +=
          static_cast<float>(c.count) / static_cast<float>(prompt.tokens);
    }
  }
}

Microbatcher::Microbatcher(const Grouping& shape, int microbatches)
    : microbatches_(microbatches),
      states_(size_t(shape.nodes) * microbatches,
              State{MicrobatchProfile(shape.layers, shape.experts), 0}) {}

Microbatch Microbatcher::Place(NodeId home, const Prompt& prompt, double tokens) {
  tokens_ever_ += tokens;
  requests_ever_ += 1;
  State* of_node = &states_[size_t(home.value()) * microbatches_];
  double mean = tokens / microbatches_;
  for (int m = 0; m < microbatches_; ++m) {
    mean += of_node[m].load / microbatches_;
  }
  const double most =
      mean + std::max(kSlack * mean, kSlackRequests * tokens_ever_ / requests_ever_);
  Microbatch best = -1, lightest = 0;
  double least = 0;
  for (int m = 0; m < microbatches_; ++m) {
    const double load = of_node[m].load;
    lightest = load < of_node[lightest].load ? m : lightest;
    if (load + tokens > most) {
      continue;
    }
    const double cost = of_node[m].profile.NewExperts(prompt);
    if (best < 0 || cost < least || (cost == least && load < of_node[best].load)) {
      best = m;
      least = cost;
    }
  }
  const Microbatch chosen = best >= 0 ? best : lightest;
  of_node[chosen].load += tokens;
  of_node[chosen].profile.Add(prompt, kFade);
  return chosen;
}

void Microbatcher::Release(NodeId home, Microbatch microbatch, double tokens) {
  double& load = states_[size_t(home.value()) * microbatches_ + microbatch].load;
  load -= std::min(tokens, load);
}

std::vector<Microbatch> SplitInOrder(const Plan& plan, const Traffic& traffic,
                                     absl::Span<const NodeId> homes, int microbatches) {
  if (plan.grouping.empty()) {
    return DealMicrobatches(homes, microbatches);
  }
  const Assigner expects(plan.grouping, plan.topology.node_count());
  Microbatcher microbatcher(plan.grouping, microbatches);
  std::vector<Microbatch> out;
  out.reserve(homes.size());
  for (size_t i = 0; i < homes.size(); ++i) {
    const Prompt prompt = PromptOf(plan.model, traffic.requests[i]);
    out.push_back(microbatcher.Place(homes[i], prompt, expects.ExpectedDecodeTokens(prompt)));
  }
  return out;
}

}  // namespace advisor
