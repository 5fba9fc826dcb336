#include "core/engine/audience.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/session/errors.h"

namespace advisor {

absl::Status Audience::Admit(const SubscriberHello& hello) const {
  if (hello.model_fingerprint != 0 &&
      hello.model_fingerprint != ModelFingerprint(deployment_.model)) {
    return error::ModelMismatch(hello.subscriber_id, hello.model_fingerprint, deployment_.model);
  }
  if ((hello.required & kOffered) != hello.required) {
    return error::FeatureNotOffered(hello.subscriber_id, "subscribers are offered delta-placement");
  }
  if (hello.placement.epoch > kLastEpoch || hello.grouping.epoch > kLastEpoch) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "subscriber \"%s\" claims epoch %d, beyond the last there can be", hello.subscriber_id,
        std::max(hello.placement.epoch, hello.grouping.epoch)));
  }
  if (!KnowsNodeOf(hello.role, hello.node)) {
    return error::NodeNotInTopology(hello.subscriber_id, hello.node);
  }
  const auto known = sessions_.find(hello.subscriber_id);
  if (known != sessions_.end()) {
    return known->second.Admit(hello);
  }
  if (sessions_.size() >= kMaxSubscribers) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("deployment \"%s\" knows %d subscribers, the most there may be",
                        deployment_.name, kMaxSubscribers));
  }
  return absl::OkStatus();
}

bool Audience::KnowsNodeOf(Role role, const std::string& node) const {
  const std::vector<NodeSpec>& nodes = deployment_.topology.nodes();
  return role != Role::kActor || node.empty() ||
         std::any_of(nodes.begin(), nodes.end(),
                     [&](const NodeSpec& candidate) { return candidate.name == node; });
}

SubscriberSession* Audience::Open(StreamId stream, const SubscriberHello& hello, Turn& turn) {
  if (absl::Status status = Admit(hello); !status.ok()) {
    turn.effects.push_back(effect::EndStream{stream, std::move(status)});
    return nullptr;
  }
  SubscriberSession& session =
      sessions_.try_emplace(hello.subscriber_id, hello.subscriber_id).first->second;
  if (session.stream().has_value()) {
    const bool same = session.IsCurrent(hello.incarnation);
    End(&session, same ? error::Superseded(session.id()) : error::NewerIncarnation(session.id()),
        turn);
  }
  session.Open(stream, hello, turn.now);
  streams_[stream] = hello.subscriber_id;
  return &session;
}

SubscriberSession* Audience::Close(StreamId stream, absl::Time now) {
  SubscriberSession* session = Find(stream);
  if (session != nullptr) {
    session->Close(now);
    streams_.erase(stream);
  }
  return session;
}

SubscriberSession* Audience::Find(StreamId stream) {
  const auto it = streams_.find(stream);
  return it == streams_.end() ? nullptr : &sessions_.at(it->second);
}

SubscriberSession* Audience::Find(const std::string& subscriber_id) {
  const auto it = sessions_.find(subscriber_id);
  return it == sessions_.end() ? nullptr : &it->second;
}

std::vector<SubscriberSession*> Audience::Connected() {
  std::vector<SubscriberSession*> connected;
  for (auto& [id, session] : sessions_) {
    if (session.stream().has_value()) {
      connected.push_back(&session);
    }
  }
  return connected;
}

std::shared_ptr<const Plan> Audience::DeltaBase(const SubscriberSession& session,
                                                const PlanRecord& record) const {
  for (const SubscriberSession::Held& held : session.Bases()) {
    const PlanRecord* base = history_.Find(held.position);
    if (base != nullptr && base->content_hash == held.hash &&
        base->plan->topology == record.plan->topology) {
      return base->plan;
    }
  }
  return nullptr;
}

void Audience::SendPlacement(SubscriberSession* session, const PlanRecord& record,
                             PlacementMode mode, bool full, Turn& turn) {
  PlacementUpdate update{record.plan, nullptr, mode};
  if (!full && session->accepts_delta()) {
    update.base = DeltaBase(*session, record);
  }
  session->SentPlacement({record.plan->position, record.content_hash}, mode, turn.now);
  Send(session, std::move(update), turn);
}

void Audience::SendGrouping(SubscriberSession* session, const PlanRecord& record, Turn& turn) {
  session->SentGrouping({record.grouping, GroupingHash(record.plan->grouping)}, turn.now);
  Send(session, GroupingUpdate{record.plan, record.grouping, record.plan->position}, turn);
}

void Audience::SendDecision(SubscriberSession* session, Position position, bool commit,
                            const std::string& reason, Turn& turn) {
  Send(session, RolloutDecision{position, commit, reason}, turn);
  if (commit) {
    session->SentCommit(position, turn.now);
  }
}

void Audience::Send(SubscriberSession* session, SubscriberMessage message, Turn& turn) {
  session->SentOther(turn.now);
  turn.effects.push_back(effect::SendSubscriber{*session->stream(), std::move(message)});
}

void Audience::End(SubscriberSession* session, absl::Status status, Turn& turn) {
  const StreamId stream = *session->stream();
  turn.effects.push_back(effect::EndStream{stream, std::move(status)});
  session->Close(turn.now);
  streams_.erase(stream);
}

void Audience::Tick(Turn& turn) {
  const absl::Duration limit = options_.session.received_timeout;
  const absl::Time awake_since = awake_.Tick(turn.now, limit);
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    SubscriberSession& session = it->second;
    if (const auto late = session.Overdue(options_.session, turn.now, awake_since)) {
      ++journal_.counters.slow_subscribers;
      absl::Status slow = error::SlowConsumer(
          session.id(), late->subject == AckSubject::kPlacement ? "placement" : "grouping",
          late->position, late->age, limit);
      journal_.Log(true, std::string(slow.message()), turn);
      End(&session, std::move(slow), turn);
    }
    const bool forgotten =
        !session.stream().has_value() && turn.now - session.closed_at() > kForgetAfter;
    it = forgotten ? sessions_.erase(it) : std::next(it);
  }
}

void Audience::TopologyChanged(Turn& turn) {
  for (SubscriberSession* session : Connected()) {
    if (!KnowsNodeOf(session->role(), session->node())) {
      End(session, error::NodeNotInTopology(session->id(), session->node()), turn);
    }
  }
}

void Audience::FillStatus(DeploymentStatus* status) const {
  for (const auto& [id, session] : sessions_) {
    SubscriberStatus subscriber;
    subscriber.subscriber_id = id;
    subscriber.node = session.node();
    subscriber.role = session.role();
    subscriber.connected = session.stream().has_value();
    subscriber.known = session.known();
    subscriber.phase = session.phase();
    subscriber.nack = session.nack();
    subscriber.nack_message = session.nack_message();
    status->subscribers.push_back(std::move(subscriber));
  }
}

}  // namespace advisor
