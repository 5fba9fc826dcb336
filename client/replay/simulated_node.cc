#include "client/replay/simulated_node.h"

#include <algorithm>
#include <utility>

namespace advisor::client {

SimulatedNode::SimulatedNode(const Traffic& traffic, NodeId home, NodeOutlets outlets)
    : traffic_(traffic), home_(home), outlets_(std::move(outlets)) {}

void SimulatedNode::OnPlacement(const std::shared_ptr<const Plan>& plan, PlacementMode mode) {
  bool running = false;
  {
    std::lock_guard lock(mutex_);
    running = applied_ != nullptr && applied_->position == plan->position;
    if (mode == PlacementMode::kAdvisory) {
      advisory_ = plan;
      return;
    }
    if (mode == PlacementMode::kPrepare) {
      staged_ = plan;
    } else if (!running) {
      pending_ = plan;
    }
  }
  outlets_.confirm(plan->position, AckPhase::kStaged, 0);
  if (running) {
    outlets_.confirm(plan->position, AckPhase::kApplied, 0);
  }
}

void SimulatedNode::OnDecision(const RolloutDecision& decision) {
  std::lock_guard lock(mutex_);
  if (staged_ != nullptr && staged_->position == decision.position) {
    if (decision.commit) {
      pending_ = staged_;
    }
    staged_ = nullptr;
  }
}

void SimulatedNode::Admit(int played, int request) { live_.push_back({played, request, 0}); }

bool SimulatedNode::Switch(Ledger* ledger) {
  std::shared_ptr<const Plan> plan;
  {
    std::lock_guard lock(mutex_);
    if (pending_ == nullptr) {
      return false;
    }
    applied_ = plan = std::move(pending_);
    pending_ = nullptr;
  }
  ledger->AddPlan(plan);
  outlets_.confirm(plan->position, AckPhase::kApplied, step_ + 1);
  return true;
}

void SimulatedNode::Step(Ledger* ledger, std::vector<int>* ended) {
  const bool switched = Switch(ledger);
  if (live_.empty() && !switched) {
    return;
  }
  EngineStep step;
  step.step = ++step_;
  step.applied = applied();
  const size_t token_ids = size_t(traffic_.model.moe_layers) * traffic_.model.top_k;
  for (Live& live : live_) {
    const Request& request = traffic_.requests[live.request];
    const bool prefill = live.done < request.prompt_tokens;
    const int end = prefill ? request.prompt_tokens : live.done + 1;
    TokenBlock& block = BlockFor(&step, request.domain, prefill ? Phase::kPrefill : Phase::kDecode);
    block.experts.insert(block.experts.end(), request.experts.begin() + live.done * token_ids,
                         request.experts.begin() + end * token_ids);
    block.requests.push_back({request.id, static_cast<uint32_t>(end - live.done)});
    ledger->Ran(live.played, live.done, end, home_, step.applied);
    live.done = end;
  }
  std::erase_if(live_, [&](const Live& live) {
    const bool over = live.done >= traffic_.requests[live.request].tokens;
    if (over) {
      ended->push_back(live.request);
    }
    return over;
  });
  outlets_.record(std::move(step));
}

TokenBlock& SimulatedNode::BlockFor(EngineStep* step, const std::string& domain, Phase phase) {
  for (TokenBlock& block : step->blocks) {
    if (block.phase == phase && block.domain == domain) {
      return block;
    }
  }
  step->blocks.push_back({domain, phase, {}, {}});
  return step->blocks.back();
}

Position SimulatedNode::applied() const {
  std::lock_guard lock(mutex_);
  return applied_ == nullptr ? Position{} : applied_->position;
}

std::shared_ptr<const Plan> SimulatedNode::advisory() const {
  std::lock_guard lock(mutex_);
  return advisory_;
}

}  // namespace advisor::client
