#include "client/agent/plan_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/model/model_identity.h"

namespace advisor::client {
namespace {

constexpr size_t kMaxNackBytes = 256;

NackReason ReasonFor(const absl::Status& status) {
  return status.code() == absl::StatusCode::kDataLoss ? NackReason::kHashMismatch
                                                      : NackReason::kDecode;
}

std::string Text(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

PlanSession::PlanSession(PlanSessionOptions options, Incarnation incarnation)
    : options_(std::move(options)), incarnation_(incarnation) {}

void PlanSession::Restore(Plan plan) { in_force_ = std::make_shared<const Plan>(std::move(plan)); }

SubscriberHello PlanSession::Hello() const {
  SubscriberHello hello;
  hello.deployment = options_.deployment;
  hello.subscriber_id = options_.subscriber_id;
  hello.incarnation = incarnation_;
  hello.role = Role::kActor;
  hello.ability = options_.ability;
  hello.node = options_.node;
  hello.features.delta_placement = true;
  // Only what is in force is claimed: what was being staged, or was only advice, comes again.
  if (in_force_ != nullptr && !forget_position_) {
    hello.placement = in_force_->position;
    hello.placement_hash = PlacementHash(*in_force_);
  }
  if (grouping_ != nullptr && !forget_position_) {
    hello.grouping = grouping_position_;
    hello.grouping_hash = GroupingHash(grouping_->grouping);
  }
  return hello;
}

const Plan* PlanSession::Base(Position base) const {
  for (const auto* held : {&staging_, &advisory_, &in_force_}) {
    if (*held != nullptr && (*held)->position == base) {
      return held->get();
    }
  }
  return nullptr;
}

PlanAck PlanSession::MakeAck(AckSubject subject, Position position, AckPhase phase) const {
  PlanAck ack;
  ack.subject = subject;
  ack.position = position;
  ack.phase = phase;
  return ack;
}

PlanAck PlanSession::MakeNack(AckSubject subject, Position position, NackReason reason,
                              const std::string& message) const {
  PlanAck ack = MakeAck(subject, position, AckPhase::kNack);
  ack.nack = reason;
  ack.nack_message = message.substr(0, kMaxNackBytes);
  return ack;
}

PlanEffects PlanSession::OnPlacement(Position position, absl::StatusOr<Plan> plan,
                                     PlacementMode mode) {
  PlanEffects effects;
  if (plan.status().code() == absl::StatusCode::kFailedPrecondition) {
    forget_position_ = effects.subscribe_anew = true;  // a delta against what is not held
    return effects;
  }
  if (plan.ok()) {
    if (absl::Status valid = Validate(*plan); !valid.ok()) {
      effects.acks.push_back(
          MakeNack(AckSubject::kPlacement, position, NackReason::kInvalid, Text(valid)));
      return effects;
    }
  } else {
    effects.acks.push_back(
        MakeNack(AckSubject::kPlacement, position, ReasonFor(plan.status()), Text(plan.status())));
    return effects;
  }
  if (in_force_ != nullptr && ModelFingerprint(plan->model) != ModelFingerprint(in_force_->model)) {
    effects.acks.push_back(
        MakeNack(AckSubject::kPlacement, position, NackReason::kModelMismatch,
                 absl::StrFormat("plan is for another model than the one in force: %s; restart the "
                                 "agent without its plan file to change models",
                                 IdentityDifference(plan->model, in_force_->model))));
    return effects;
  }
  forget_position_ = false;
  if (in_force_ != nullptr && position < in_force_->position) {
    return effects;  // late: something newer is in force
  }
  plan->deployment = options_.deployment;
  plan->position = position;
  auto shared = std::make_shared<const Plan>(*std::move(plan));
  effects.acks.push_back(MakeAck(AckSubject::kPlacement, position, AckPhase::kReceived));
  if (mode == PlacementMode::kAdvisory) {
    advisory_ = std::move(shared);
  } else if (in_force_ != nullptr && position == in_force_->position) {
    if (applied_) {
      Applied(applied_step_, &effects);
    } else {
      PutInForce(std::move(shared),
                 &effects);  // restored from the file: engines may have restarted
    }
  } else if (mode == PlacementMode::kPrepare) {
    Stage(std::move(shared), &effects);
  } else {
    PutInForce(std::move(shared), &effects);
  }
  return effects;
}

void PlanSession::Stage(std::shared_ptr<const Plan> plan, PlanEffects* effects) {
  if (staging_ == nullptr || staging_->position != plan->position) {
    staged_engines_ = applied_engines_ = 0;
    staging_ = std::move(plan);
  }
  const Position position = staging_->position;
  if (options_.ability == ApplyAbility::kRestartOnly) {
    effects->acks.push_back(MakeAck(AckSubject::kPlacement, position, AckPhase::kDeferred));
  } else if (!options_.wait_for_engines || staged_engines_ >= options_.engines) {
    effects->acks.push_back(MakeAck(AckSubject::kPlacement, position, AckPhase::kStaged));
  }
}

void PlanSession::PutInForce(std::shared_ptr<const Plan> plan, PlanEffects* effects) {
  const bool was_staging = staging_ != nullptr && staging_->position == plan->position;
  if (!was_staging) {
    staged_engines_ = applied_engines_ = 0;
  }
  // The grouping in use stays until another one comes: its shape fits the model and the nodes.
  auto next = std::make_shared<Plan>(*plan);
  if (grouping_ != nullptr && !grouping_waits_) {
    next->grouping = grouping_->grouping;
  } else if (in_force_ != nullptr && in_force_->topology == next->topology) {
    next->grouping = in_force_->grouping;
  }
  in_force_ = std::move(next);
  staging_ = nullptr;
  applied_ = false;
  effects->store = in_force_;
  const Position position = in_force_->position;
  if (options_.ability == ApplyAbility::kRestartOnly) {
    effects->acks.push_back(MakeAck(AckSubject::kPlacement, position, AckPhase::kDeferred));
    return;
  }
  if (!options_.wait_for_engines) {
    if (!was_staging) {
      effects->acks.push_back(MakeAck(AckSubject::kPlacement, position, AckPhase::kStaged));
    }
    Applied(0, effects);
  }
}

void PlanSession::Applied(uint64_t step, PlanEffects* effects) {
  applied_ = true;
  applied_step_ = step;
  PlanAck ack = MakeAck(AckSubject::kPlacement, in_force_->position, AckPhase::kApplied);
  ack.step = step;
  effects->acks.push_back(ack);
  ReleaseGrouping(effects);
}

PlanEffects PlanSession::OnDecision(const RolloutDecision& decision) {
  PlanEffects effects;
  const bool staged = staging_ != nullptr && staging_->position == decision.position;
  if (decision.commit) {
    if (staged) {
      PutInForce(staging_, &effects);
    } else if (in_force_ != nullptr && in_force_->position == decision.position && applied_) {
      Applied(applied_step_, &effects);  // asked again: the acknowledgement was lost
    }
    return effects;
  }
  // An abort is acknowledged whether or not there was anything left to drop: it is sent until then.
  if (staged) {
    staging_ = nullptr;
  }
  if (in_force_ == nullptr || in_force_->position != decision.position) {
    PlanAck ack = MakeNack(AckSubject::kPlacement, decision.position, NackReason::kTimeout,
                           "aborted by the daemon");
    ack.phase = AckPhase::kRolledBack;
    effects.acks.push_back(std::move(ack));
  }
  return effects;
}

PlanEffects PlanSession::OnGrouping(Position position, absl::StatusOr<Grouping> grouping,
                                    Position needs_placement) {
  PlanEffects effects;
  if (!grouping.ok()) {
    effects.acks.push_back(MakeNack(AckSubject::kGrouping, position, ReasonFor(grouping.status()),
                                    Text(grouping.status())));
    return effects;
  }
  if (position < grouping_position_) {
    return effects;
  }
  auto carrier = std::make_shared<Plan>();
  carrier->grouping = *std::move(grouping);
  carrier->grouping.revision = position.revision;
  grouping_ = std::move(carrier);
  grouping_position_ = position;
  grouping_needs_ = needs_placement;
  grouping_waits_ = true;
  effects.acks.push_back(MakeAck(AckSubject::kGrouping, position, AckPhase::kReceived));
  ReleaseGrouping(&effects);
  return effects;
}

// Placement and grouping never tear: a grouping is used once the placement it was made for is
// applied.
void PlanSession::ReleaseGrouping(PlanEffects* effects) {
  const bool needs_none = grouping_needs_ == Position{};
  const bool met =
      needs_none || (in_force_ != nullptr && applied_ && in_force_->position >= grouping_needs_);
  if (grouping_ == nullptr || !grouping_waits_ || !met) {
    return;
  }
  grouping_waits_ = false;
  if (in_force_ != nullptr) {
    auto next = std::make_shared<Plan>(*in_force_);
    next->grouping = grouping_->grouping;
    if (absl::Status valid = Validate(*next); !valid.ok()) {
      effects->acks.push_back(
          MakeNack(AckSubject::kGrouping, grouping_position_, NackReason::kInvalid, Text(valid)));
      grouping_ = nullptr;
      return;
    }
    in_force_ = std::move(next);
    effects->store = in_force_;
  }
  effects->acks.push_back(MakeAck(AckSubject::kGrouping, grouping_position_, AckPhase::kApplied));
}

PlanEffects PlanSession::OnUpToDate(Position placement) {
  PlanEffects effects;
  // Acknowledgements may have been lost with the last stream, and a restored plan was never
  // acknowledged.
  const bool held = in_force_ != nullptr && in_force_->position == placement;
  if (held &&
      (applied_ || (!options_.wait_for_engines && options_.ability == ApplyAbility::kHotSwap))) {
    Applied(applied_step_, &effects);
  }
  return effects;
}

PlanEffects PlanSession::OnStoreFailed(const Plan& plan, const std::string& why) {
  PlanEffects effects;
  effects.acks.push_back(
      MakeNack(AckSubject::kPlacement, plan.position, NackReason::kEngineRefused, why));
  return effects;
}

absl::StatusOr<PlanEffects> PlanSession::OnEngineAck(const PlanAck& ack) {
  PlanEffects effects;
  if (ack.subject == AckSubject::kGrouping) {
    return effects;  // groupings are used by routers and this agent; engines only watch them
  }
  const bool staging = staging_ != nullptr && staging_->position == ack.position;
  const bool in_force = in_force_ != nullptr && in_force_->position == ack.position;
  if (!staging && !in_force) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "position %d.%d is neither staged nor in force here; confirm what WatchPlan has sent",
        ack.position.epoch, ack.position.revision));
  }
  if (!options_.wait_for_engines) {
    return effects;
  }
  switch (ack.phase) {
    case AckPhase::kReceived:
      break;
    case AckPhase::kStaged:
      if (++staged_engines_ == options_.engines) {
        effects.acks.push_back(MakeAck(AckSubject::kPlacement, ack.position, AckPhase::kStaged));
      }
      break;
    case AckPhase::kApplied:
      if (in_force && !applied_ && ++applied_engines_ >= options_.engines) {
        Applied(ack.step, &effects);
      }
      break;
    case AckPhase::kNack:
      if (staging) {
        staging_ = nullptr;  // the other engines are told to drop it
      }
      effects.acks.push_back(ack);
      break;
    case AckPhase::kRolledBack:
    case AckPhase::kDeferred:
      effects.acks.push_back(ack);
      break;
  }
  return effects;
}

PlanEffects PlanSession::OnEngineRuns(Position applied, uint64_t step) {
  PlanEffects effects;
  if (options_.ability == ApplyAbility::kRestartOnly && !applied_ && in_force_ != nullptr &&
      in_force_->position == applied) {
    Applied(step, &effects);
  }
  return effects;
}

}  // namespace advisor::client
