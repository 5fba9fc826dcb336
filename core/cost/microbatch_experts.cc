#include "core/cost/microbatch_experts.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

namespace advisor {
namespace {

// One microbatch's requests, decoded step by step.
class Queue {
 public:
  Queue(const Traffic& traffic, const std::vector<const Request*>& requests)
      : model_(traffic.model), requests_(requests), chosen_(model_.experts, 0) {
    Refill();
    at_start_ = running_.size();
  }

  bool full() const { return !running_.empty() && running_.size() == at_start_; }

  // Distinct experts of one step, summed over layers.
  int64_t Step() {
    int64_t distinct = 0;
    for (int l = 0; l < model_.moe_layers; ++l) {
      ++mark_;
      for (const auto& [request, token] : running_) {
        const uint16_t* ids = request->token(model_, token, l);
        for (int i = 0; i < model_.top_k; ++i) {
          distinct += chosen_[ids[i]] != mark_;
          chosen_[ids[i]] = mark_;
        }
      }
    }
    for (auto& entry : running_) {
      ++entry.second;
    }
    running_.erase(
        std::remove_if(running_.begin(), running_.end(),
                       [](const auto& entry) { return entry.second >= entry.first->tokens; }),
        running_.end());
    Refill();
    return distinct;
  }

 private:
  void Refill() {
    while (running_.size() < kRequestsTogether && next_ < requests_.size()) {
      running_.emplace_back(requests_[next_], requests_[next_]->prompt_tokens);
      ++next_;
    }
  }

  const ModelSpec& model_;
  const std::vector<const Request*>& requests_;
  size_t next_ = 0, at_start_ = 0;
  std::vector<std::pair<const Request*, int>> running_;  // and the token it decodes next
  std::vector<int> chosen_;                              // [experts] mark of the last layer
  int mark_ = 0;
};

}  // namespace

std::optional<double> DistinctExpertsPerMicrobatch(const Traffic& traffic,
                                                   absl::Span<const NodeId> homes,
                                                   absl::Span<const Microbatch> microbatches) {
  std::map<std::pair<NodeId, Microbatch>, std::vector<const Request*>> queues;
  for (size_t i = 0; i < homes.size(); ++i) {
    const Request& r = traffic.requests[i];
    if (!r.counts_only() && r.tokens > r.prompt_tokens) {
      queues[{homes[i], microbatches[i]}].push_back(&r);
    }
  }
  int64_t distinct = 0, steps = 0;
  for (const auto& entry : queues) {
    for (Queue queue(traffic, entry.second); queue.full(); ++steps) {
      distinct += queue.Step();
    }
  }
  if (steps == 0) {
    return std::nullopt;
  }
  return double(distinct) / double(steps) / traffic.model.moe_layers;
}

std::vector<Microbatch> DealMicrobatches(absl::Span<const NodeId> homes, int count) {
  std::map<NodeId, int> dealt;
  std::vector<Microbatch> out;
  out.reserve(homes.size());
  for (NodeId home : homes) {
    out.push_back(dealt[home]++ % count);
  }
  return out;
}

}  // namespace advisor
