#ifndef ADVISOR_TESTS_SUPPORT_FAKE_SUBSCRIBER_H_
#define ADVISOR_TESTS_SUPPORT_FAKE_SUBSCRIBER_H_

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/session/messages.h"
#include "tests/support/history.h"

namespace advisor::testing {

// The agent's half of the plan protocol as plainly as it can be put: believes what it is told. What
// it reads and runs goes into a history, for the properties to be judged.
class FakeSubscriber {
 public:
  FakeSubscriber(std::string id, std::string node, Incarnation incarnation, Role role,
                 History* history)
      : id_(std::move(id)),
        node_(std::move(node)),
        incarnation_(incarnation),
        role_(role),
        history_(history) {}

  SubscriberHello Hello(const std::string& deployment) const {
    SubscriberHello hello;
    hello.deployment = deployment;
    hello.subscriber_id = id_;
    hello.incarnation = incarnation_;
    hello.role = role_;
    hello.ability = restart_only ? ApplyAbility::kRestartOnly : ApplyAbility::kHotSwap;
    hello.node = node_;
    hello.features.delta_placement = true;
    if (in_force_ != nullptr) {
      hello.placement = in_force_->position;
      hello.placement_hash = PlacementHash(*in_force_);
    }
    hello.grouping = grouping_;
    return hello;
  }

  // What it answers, unless it is silent.
  std::vector<PlanAck> On(const SubscriberMessage& message) {
    history_->push_back(seen::Read{id_, message, Refuses(message)});
    std::vector<PlanAck> acks = std::visit([this](const auto& m) { return Take(m); }, message);
    return silent ? std::vector<PlanAck>{} : acks;
  }

  const std::string& id() const { return id_; }
  const std::string& node() const { return node_; }
  Role role() const { return role_; }
  // What runs; null: the initial placement.
  const std::shared_ptr<const Plan>& in_force() const { return in_force_; }
  const std::shared_ptr<const Plan>& staged() const { return staged_; }
  const std::shared_ptr<const Plan>& advice() const { return advice_; }
  Position grouping() const { return grouping_; }
  Position applied() const { return in_force_ == nullptr ? Position{} : in_force_->position; }
  // A new process that kept its plan file.
  void Restart(Incarnation incarnation) {
    incarnation_ = incarnation;
    staged_ = nullptr;
    advice_ = nullptr;
  }

  bool silent = false;  // hears, but does not answer
  bool restart_only = false;
  std::set<uint64_t> refuses;  // contents
  bool refuses_all = false;

 private:
  bool Refuses(const SubscriberMessage& message) const {
    const auto* update = std::get_if<PlacementUpdate>(&message);
    return update != nullptr && (refuses_all || refuses.contains(PlacementHash(*update->plan)));
  }
  PlanAck MakeAck(Position position, AckPhase phase) const {
    PlanAck ack;
    ack.position = position;
    ack.phase = phase;
    return ack;
  }
  std::vector<PlanAck> Take(const UpToDate&) {
    if (in_force_ != nullptr) {
      return {MakeAck(in_force_->position, AckPhase::kApplied)};
    }
    return {};
  }
  std::vector<PlanAck> Take(const Progress&) { return {}; }

  std::vector<PlanAck> Take(const PlacementUpdate& update) {
    const Position position = update.plan->position;
    if (Refuses(update)) {
      PlanAck nack = MakeAck(position, AckPhase::kNack);
      nack.nack = NackReason::kOutOfMemory;
      nack.nack_message = "no room";
      return {nack};
    }
    const PlanAck received = MakeAck(position, AckPhase::kReceived);
    switch (update.mode) {
      case PlacementMode::kAdvisory:
        advice_ = update.plan;
        return {received};
      case PlacementMode::kPrepare:
        staged_ = update.plan;
        return {received,
                MakeAck(position, restart_only ? AckPhase::kDeferred : AckPhase::kStaged)};
      case PlacementMode::kInForce:
        staged_ = nullptr;
        Switch(update.plan);
        return {received,
                MakeAck(position, restart_only ? AckPhase::kDeferred : AckPhase::kApplied)};
    }
    return {};
  }

  std::vector<PlanAck> Take(const RolloutDecision& decision) {
    const bool staged = staged_ != nullptr && staged_->position == decision.position;
    if (!decision.commit) {
      staged_ = staged ? nullptr : staged_;
      return {MakeAck(decision.position, AckPhase::kRolledBack)};
    }
    if (staged) {
      Switch(std::exchange(staged_, nullptr));
    }
    return {MakeAck(decision.position, restart_only ? AckPhase::kDeferred : AckPhase::kApplied)};
  }

  std::vector<PlanAck> Take(const GroupingUpdate& update) {
    grouping_ = update.position;
    PlanAck ack = MakeAck(update.position, AckPhase::kReceived);
    ack.subject = AckSubject::kGrouping;
    return {ack};
  }

  void Switch(std::shared_ptr<const Plan> plan) {
    if (plan != in_force_) {
      in_force_ = std::move(plan);
      history_->push_back(seen::Runs{id_, in_force_});
    }
  }

  std::string id_, node_;
  Incarnation incarnation_;
  Role role_;
  History* history_;
  std::shared_ptr<const Plan> in_force_, staged_, advice_;
  Position grouping_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_FAKE_SUBSCRIBER_H_
