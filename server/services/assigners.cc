#include "server/services/assigners.h"

#include <utility>

#include "absl/hash/hash.h"

namespace advisor::server {

DeploymentAssigner::DeploymentAssigner(const Deployment& deployment, size_t kept_requests)
    : model_(deployment.model), kept_requests_(kept_requests), topology_(deployment.topology) {
  auto none = std::make_shared<Plan>();
  none->topology = topology_;
  plan_ = std::move(none);
  assigner_ = std::make_unique<Assigner>(plan_->grouping, topology_.node_count());
}

void DeploymentAssigner::Use(std::shared_ptr<const Plan> plan, Position grouping) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto next = std::make_unique<Assigner>(plan->grouping, plan->topology.node_count());
  if (plan->topology == topology_) {
    next->TakeLoadOf(*assigner_);
  } else {
    live_.clear();
    ages_.clear();
    topology_ = plan->topology;
    microbatcher_.reset();
  }
  UseMicrobatches(plan->grouping);
  assigner_ = std::move(next);  // before its grouping's owner goes
  plan_ = std::move(plan);
  grouping_ = grouping;
}

// What the microbatcher has learned, and the microbatches of live requests, outlast a plan unless
// their number changes.
void DeploymentAssigner::UseMicrobatches(const Grouping& grouping) {
  const int microbatches = grouping.empty() ? 1 : grouping.microbatches;
  if (microbatcher_ != nullptr && microbatcher_->microbatches() == microbatches) {
    return;
  }
  microbatcher_.reset();
  for (auto& entry : live_) {
    entry.second.microbatch.reset();
  }
  if (microbatches > 1) {
    microbatcher_ = std::make_unique<Microbatcher>(grouping, microbatches);
  }
}

AssignedNode DeploymentAssigner::Assign(const std::string& request_id, const Prompt& prompt) {
  const uint64_t key = absl::Hash<std::string>()(request_id);
  std::lock_guard<std::mutex> lock(mutex_);
  AssignedNode assigned;
  assigned.grouping = grouping_;
  const std::vector<Choice> ranked = assigner_->Rank(prompt);
  for (const Choice& choice : ranked) {
    assigned.ranked.push_back({choice, topology_.nodes()[choice.node.value()].name,
                               assigner_->LoadOverShare(choice.node)});
  }
  if (const auto found = live_.find(key); found != live_.end()) {
    assigned.choice.node = found->second.node;
    assigned.microbatch = found->second.microbatch;
    assigned.sticky = true;
    return assigned;
  }
  const double decode_tokens = assigner_->ExpectedDecodeTokens(prompt);
  assigned.choice = assigner_->Assign(prompt, ranked);
  if (microbatcher_ != nullptr) {
    assigned.microbatch = microbatcher_->Place(assigned.choice.node, prompt, decode_tokens);
  }
  live_[key] = {assigned.choice.node, assigned.microbatch, decode_tokens,
                ages_.insert(ages_.end(), key)};
  if (live_.size() > kept_requests_) {
    Forget(ages_.front());
  }
  return assigned;
}

bool DeploymentAssigner::Release(const std::string& request_id) {
  const uint64_t key = absl::Hash<std::string>()(request_id);
  std::lock_guard<std::mutex> lock(mutex_);
  if (!live_.contains(key)) {
    return false;
  }
  Forget(key);
  return true;
}

void DeploymentAssigner::Forget(uint64_t key) {
  const auto found = live_.find(key);
  const Live& live = found->second;
  assigner_->Release(live.node, live.decode_tokens);
  if (live.microbatch.has_value()) {
    microbatcher_->Release(live.node, *live.microbatch, live.decode_tokens);
  }
  ages_.erase(found->second.age);
  live_.erase(found);
}

void Assigners::Add(const Deployment& deployment) {
  assigners_[deployment.name] = std::make_unique<DeploymentAssigner>(deployment, kKeptRequests);
}

DeploymentAssigner* Assigners::Find(const std::string& deployment) const {
  const auto found = assigners_.find(deployment);
  return found == assigners_.end() ? nullptr : found->second.get();
}

}  // namespace advisor::server
