#include "core/session/subscriber_session.h"

#include <algorithm>

#include "core/session/errors.h"

namespace advisor {

absl::Status SubscriberSession::Admit(const SubscriberHello& hello) const {
  if (incarnations_.Judge(hello.incarnation) == Incarnations::Verdict::kRetired) {
    return error::StaleIncarnation(id_);
  }
  return absl::OkStatus();
}

void SubscriberSession::Open(StreamId stream, const SubscriberHello& hello, absl::Time now) {
  if (incarnations_.Judge(hello.incarnation) == Incarnations::Verdict::kNew) {
    incarnations_.Accept(hello.incarnation);
    phase_.reset();
    nack_ = NackReason::kNone;
    nack_message_.clear();
  }
  stream_ = stream;
  node_ = hello.node;
  role_ = hello.role;
  ability_ = hello.ability;
  accepts_delta_ = hello.features.delta_placement;
  placement_ = {hello.placement, hello.placement_hash};
  advice_ = {};
  grouping_ = {hello.grouping, hello.grouping_hash};
  known_ = hello.placement;
  prepared_ = {};
  sent_placements_ = {{placement_, PlacementMode::kInForce, true}};
  sent_groupings_ = {{grouping_, PlacementMode::kInForce, true}};
  placement_waits_.reset();
  grouping_waits_.reset();
  commit_waits_.reset();
  last_sent_ = now;
}

void SubscriberSession::Close(absl::Time now) {
  stream_.reset();
  closed_at_ = now;
}

bool SubscriberSession::Refused(uint64_t hash) const {
  return std::find(refused_.begin(), refused_.end(), hash) != refused_.end();
}

bool SubscriberSession::WantsPlacement(const Held& plan, PlacementMode mode) const {
  const bool news = plan.position > placement_.position &&
                    (mode != PlacementMode::kAdvisory || plan.position > advice_.position);
  return news && !Refused(plan.hash);
}

std::vector<SubscriberSession::Held> SubscriberSession::Bases() const {
  const bool settled = std::all_of(sent_placements_.begin(), sent_placements_.end(),
                                   [](const Sent& sent) { return sent.acknowledged; });
  if (!settled || commit_waits_.has_value()) {
    return {};
  }
  return {placement_, advice_};
}

bool SubscriberSession::WantsGrouping(const Held& grouping) const {
  return grouping.position > grouping_.position && !Refused(grouping.hash);
}

void SubscriberSession::SentPlacement(const Held& plan, PlacementMode mode, absl::Time now) {
  sent_placements_.push_back({plan, mode});
  if (sent_placements_.size() > kKeptSent) {
    sent_placements_.erase(sent_placements_.begin());
  }
  placement_waits_ = Waiting{plan.position, now};
  if (mode == PlacementMode::kPrepare) {
    prepared_ = plan.position;
  }
  last_sent_ = now;
}

void SubscriberSession::SentGrouping(const Held& grouping, absl::Time now) {
  sent_groupings_.push_back({grouping, PlacementMode::kInForce});
  if (sent_groupings_.size() > kKeptSent) {
    sent_groupings_.erase(sent_groupings_.begin());
  }
  grouping_ = grouping;
  grouping_waits_ = Waiting{grouping.position, now};
  last_sent_ = now;
}

bool SubscriberSession::WasSent(AckSubject subject, const Position& position) const {
  const std::vector<Sent>& sent =
      subject == AckSubject::kPlacement ? sent_placements_ : sent_groupings_;
  return std::any_of(sent.begin(), sent.end(),
                     [&](const Sent& s) { return s.plan.position == position; });
}

bool SubscriberSession::WasSentAs(const Position& placement, PlacementMode mode) const {
  return std::any_of(sent_placements_.begin(), sent_placements_.end(),
                     [&](const Sent& s) { return s.plan.position == placement && s.mode == mode; });
}

SubscriberSession::AckResult SubscriberSession::Take(const PlanAck& ack) {
  std::vector<Sent>& sent =
      ack.subject == AckSubject::kPlacement ? sent_placements_ : sent_groupings_;
  const auto it = std::find_if(sent.rbegin(), sent.rend(), [&](const Sent& candidate) {
    return candidate.plan.position == ack.position;
  });
  if (it == sent.rend()) {
    return {AckMeaning::kEnd, error::UnknownPosition(id_, ack.position)};
  }
  it->acknowledged =
      it->acknowledged || ack.phase == AckPhase::kReceived || ack.phase == AckPhase::kNack;
  std::optional<Waiting>& waits =
      ack.subject == AckSubject::kPlacement ? placement_waits_ : grouping_waits_;
  if (waits.has_value() && waits->position <= ack.position) {
    waits.reset();
  }
  if (ack.phase == AckPhase::kNack || ack.phase == AckPhase::kRolledBack) {
    nack_ = ack.nack;
    nack_message_ = ack.nack_message;
  }
  if (ack.subject == AckSubject::kPlacement) {
    return TakePlacement(ack, &*it);
  }
  if (ack.phase == AckPhase::kNack) {
    Refuse(it->plan.hash);
    return {AckMeaning::kRefused, absl::OkStatus(), it->plan.hash};
  }
  return {AckMeaning::kNothing, absl::OkStatus(), it->plan.hash};
}

SubscriberSession::AckResult SubscriberSession::TakePlacement(const PlanAck& ack, Sent* sent) {
  phase_ = ack.phase;
  AckResult result;
  result.hash = sent->plan.hash;
  if (ack.phase != AckPhase::kNack) {
    known_ = std::max(known_, ack.position);
  }
  switch (ack.phase) {
    case AckPhase::kReceived:
      if (sent->mode == PlacementMode::kAdvisory) {
        advice_ = sent->plan;
      } else if (sent->mode == PlacementMode::kInForce && ack.position >= placement_.position) {
        placement_ = sent->plan;
      }
      break;
    case AckPhase::kStaged:
      result.meaning = AckMeaning::kStaged;
      break;
    case AckPhase::kDeferred:
      result.meaning = AckMeaning::kStaged;
      // Asked to stage, it has it ready; told that it is in force, it will run it when it starts
      // again.
      if (commit_waits_ == ack.position || sent->mode == PlacementMode::kInForce) {
        commit_waits_.reset();
        result.meaning = AckMeaning::kApplied;
        placement_ = ack.position >= placement_.position ? sent->plan : placement_;
      }
      break;
    case AckPhase::kApplied:
      if (commit_waits_ <= ack.position) {
        commit_waits_.reset();
      }
      result.meaning = AckMeaning::kApplied;
      if (ack.position >= placement_.position) {
        placement_ = sent->plan;
      }
      break;
    case AckPhase::kRolledBack:
      result.meaning = AckMeaning::kRolledBack;
      break;
    case AckPhase::kNack:
      if (ack.nack == NackReason::kHashMismatch && !sent->resent_in_full) {
        sent->resent_in_full = true;
        result.meaning = AckMeaning::kSendFull;
        break;
      }
      Refuse(sent->plan.hash);
      result.meaning = AckMeaning::kRefused;
      break;
  }
  return result;
}

void SubscriberSession::Refuse(uint64_t hash) {
  if (!Refused(hash)) {
    refused_.push_back(hash);
    if (refused_.size() > kKeptRefused) {
      refused_.erase(refused_.begin());
    }
  }
}

std::optional<SubscriberSession::Late> SubscriberSession::Overdue(const SessionOptions& options,
                                                                  absl::Time now,
                                                                  absl::Time awake_since) const {
  for (const auto& [subject, waits] : {std::pair(AckSubject::kPlacement, placement_waits_),
                                       std::pair(AckSubject::kGrouping, grouping_waits_)}) {
    if (stream_.has_value() && waits.has_value() &&
        now - std::max(waits->since, awake_since) > options.received_timeout) {
      return Late{subject, waits->position, now - waits->since};
    }
  }
  return std::nullopt;
}

bool SubscriberSession::ProgressDue(const SessionOptions& options, absl::Time now) const {
  // A tenth early, so that ticks do not make it late.
  return stream_.has_value() && now - last_sent_ >= options.progress_interval * 0.9;
}

}  // namespace advisor
