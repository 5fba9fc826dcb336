#ifndef ADVISOR_TESTS_SUPPORT_FAKE_SUBSCRIBER_H_
#define ADVISOR_TESTS_SUPPORT_FAKE_SUBSCRIBER_H_

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/session/messages.h"
#include "gtest/gtest.h"

namespace advisor::testing {

// The agent's half of the plan protocol as plainly as it can be put. Checks what it is promised:
// positions never fall, deltas have a base that it holds, decisions are about what it was sent.
class FakeSubscriber {
 public:
  FakeSubscriber(std::string id, std::string node, Incarnation incarnation, Role role)
      : id_(std::move(id)), node_(std::move(node)), incarnation_(incarnation), role_(role) {}

  SubscriberHello Hello(const std::string& deployment) const {
    SubscriberHello hello;
    hello.deployment = deployment;
    hello.subscriber_id = id_;
    hello.incarnation = incarnation_;
    hello.role = role_;
    hello.ability = restart_only ? ApplyAbility::kRestartOnly : ApplyAbility::kHotSwap;
    hello.node = node_;
    hello.accept_delta = true;
    if (in_force_ != nullptr) {
      hello.placement = in_force_->position;
      hello.placement_hash = PlacementHash(*in_force_);
    }
    hello.grouping = grouping_;
    return hello;
  }

  // What it answers, unless it is silent.
  std::vector<PlanAck> On(const SubscriberMessage& message) {
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
    const uint64_t hash = PlacementHash(*update.plan);
    EXPECT_GE(position, applied()) << id_ << ": a position fell";
    if (update.base != nullptr) {
      const Position base = update.base->position;
      EXPECT_TRUE(base == applied() || (advice_ != nullptr && base == advice_->position))
          << id_ << ": a delta against what it does not hold";
    }
    if (refuses_all || refuses.contains(hash)) {
      PlanAck nack = MakeAck(position, AckPhase::kNack);
      nack.nack = NackReason::kOutOfMemory;
      nack.nack_message = "no room";
      return {nack};
    }
    const PlanAck received = MakeAck(position, AckPhase::kReceived);
    switch (update.mode) {
      case PlacementMode::kAdvisory:
        EXPECT_TRUE(advice_ == nullptr || position >= advice_->position) << id_;
        advice_ = update.plan;
        return {received};
      case PlacementMode::kPrepare:
        EXPECT_EQ(role_, Role::kActor);
        staged_ = update.plan;
        return {received,
                MakeAck(position, restart_only ? AckPhase::kDeferred : AckPhase::kStaged)};
      case PlacementMode::kInForce:
        staged_ = nullptr;
        in_force_ = update.plan;
        return {received,
                MakeAck(position, restart_only ? AckPhase::kDeferred : AckPhase::kApplied)};
    }
    return {};
  }

  std::vector<PlanAck> Take(const RolloutDecision& decision) {
    const bool staged = staged_ != nullptr && staged_->position == decision.position;
    if (!decision.commit) {
      EXPECT_NE(decision.position, applied()) << id_ << ": what runs was aborted";
      staged_ = staged ? nullptr : staged_;
      return {MakeAck(decision.position, AckPhase::kRolledBack)};
    }
    EXPECT_TRUE(staged || applied() == decision.position)
        << id_ << ": told to switch to what it did not stage";
    if (staged) {
      in_force_ = std::exchange(staged_, nullptr);
    }
    return {MakeAck(decision.position, restart_only ? AckPhase::kDeferred : AckPhase::kApplied)};
  }

  std::vector<PlanAck> Take(const GroupingUpdate& update) {
    EXPECT_GT(update.position, grouping_) << id_ << ": a grouping fell";
    grouping_ = update.position;
    PlanAck ack = MakeAck(update.position, AckPhase::kReceived);
    ack.subject = AckSubject::kGrouping;
    return {ack};
  }

  std::string id_, node_;
  Incarnation incarnation_;
  Role role_;
  std::shared_ptr<const Plan> in_force_, staged_, advice_;
  Position grouping_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_FAKE_SUBSCRIBER_H_
