// The half of Publisher that speaks to subscribers: who is offered what, and what acknowledgements
// do.
#include "absl/strings/str_cat.h"
#include "core/engine/publisher.h"
#include "core/session/errors.h"

namespace advisor {

Publisher::Target Publisher::TargetOf(const SubscriberSession& session) const {
  const PlanRecord* in_force = history_.InForce();
  if (active() || (in_force != nullptr && session.actor())) {
    return {in_force, PlacementMode::kInForce};
  }
  // Even if it was refused since: an earlier one would be a step back.
  return {history_.Latest(), PlacementMode::kAdvisory};
}

bool Publisher::Offer(SubscriberSession* session, Turn& turn) {
  const Target target = TargetOf(*session);
  if (target.record == nullptr) {
    return false;
  }
  const Position position = target.record->plan->position;
  const bool switches = rollout_.has_value() && rollout_->position() == position &&
                        rollout_->Has(session->id());  // gets the decision instead
  if (switches || session->WasSentAs(position, target.mode) ||
      !session->WantsPlacement({position, target.record->content_hash}, target.mode)) {
    return false;
  }
  audience_.SendPlacement(session, *target.record, target.mode, false, turn);
  return true;
}

bool Publisher::OfferGrouping(SubscriberSession* session, Turn& turn) {
  const PlanRecord* record = history_.InForce();
  if (record == nullptr || record->plan->grouping.empty() ||
      !session->WantsGrouping({record->grouping, GroupingHash(record->plan->grouping)})) {
    return false;
  }
  audience_.SendGrouping(session, *record, turn);
  return true;
}

bool Publisher::AskToStage(SubscriberSession* session, Turn& turn) {
  if (!rollout_.has_value() || rollout_->committed() || !session->actor() ||
      rollout_->Has(session->id())) {
    return false;
  }
  const PlanRecord* record = history_.Find(rollout_->position());
  if (record == nullptr || session->Refused(record->content_hash) ||
      session->placement().position >= record->plan->position) {
    return false;
  }
  // Who joins late first takes the placement in force.
  if (session->placement().position < in_force() &&
      !session->Refused(history_.InForce()->content_hash)) {
    return false;
  }
  audience_.SendPlacement(session, *record, PlacementMode::kPrepare, false, turn);
  rollout_->Ask(session->id(), session->node(), turn.now);
  return true;
}

void Publisher::OfferAll(Turn& turn) {
  for (SubscriberSession* session : audience_.Connected()) {
    Offer(session, turn);
    OfferGrouping(session, turn);
    AskToStage(session, turn);
  }
}

void Publisher::Open(StreamId stream, const SubscriberHello& hello, Turn& turn) {
  SubscriberSession* session = audience_.Open(stream, hello, turn);
  if (session == nullptr) {
    return;
  }
  shown_ = std::max(shown_, hello.placement);
  if (rollout_.has_value()) {
    rollout_->Left(session->id());  // what it staged on an earlier stream is asked for again
  }
  const bool placement = Offer(session, turn);
  const bool grouping = OfferGrouping(session, turn);
  const bool staging = AskToStage(session, turn);
  if (!placement && !grouping && !staging) {
    const PlanRecord* record = TargetOf(*session).record;
    audience_.Send(session,
                   UpToDate{record == nullptr ? Position{} : record->plan->position,
                            session->grouping().position},
                   turn);
  }
  if (session->actor() && maybe_staged_ > in_force() && !staging) {
    audience_.SendDecision(session, maybe_staged_, false, "it was not committed", turn);
  }
}

void Publisher::Closed(StreamId stream, absl::Time now) {
  SubscriberSession* session = audience_.Close(stream, now);
  if (session != nullptr && rollout_.has_value()) {
    rollout_->Left(session->id());
  }
}

void Publisher::DropDisconnected() {
  if (!rollout_.has_value()) {
    return;
  }
  for (const std::string& actor : rollout_->Actors()) {
    const SubscriberSession* session = audience_.Find(actor);
    if (session == nullptr || !session->stream().has_value()) {
      rollout_->Left(actor);
    }
  }
}

void Publisher::Acked(StreamId stream, const PlanAck& ack, Turn& turn) {
  SubscriberSession* session = audience_.Find(stream);
  if (session == nullptr) {
    return;
  }
  ++journal_.counters.acks[ack.phase];
  if (ack.phase == AckPhase::kNack) {
    ++journal_.counters.nacks[ack.nack];
  }
  // About a plan of an earlier stream, or of before a restart: it will be asked for again if it
  // counts.
  const bool old = !session->WasSent(ack.subject, ack.position) &&
                   (history_.Find(ack.position) != nullptr || ack.phase == AckPhase::kRolledBack);
  if (old) {
    return;
  }
  const SubscriberSession::AckResult result = session->Take(ack);
  if (result.meaning == SubscriberSession::AckMeaning::kEnd) {
    audience_.End(session, result.status, turn);
    DropDisconnected();
  } else if (ack.subject == AckSubject::kPlacement) {
    PlacementAcked(session, ack, result, turn);
  } else if (result.meaning == SubscriberSession::AckMeaning::kRefused) {
    journal_.Log(true,
                 absl::StrCat("subscriber \"", session->id(), "\" refuses grouping ",
                              ToString(ack.position), ": ", ack.nack_message),
                 turn);
  }
}

void Publisher::PlacementAcked(SubscriberSession* session, const PlanAck& ack,
                               const SubscriberSession::AckResult& result, Turn& turn) {
  using Meaning = SubscriberSession::AckMeaning;
  const bool of_rollout = rollout_.has_value() && rollout_->position() == ack.position;
  switch (result.meaning) {
    case Meaning::kStaged:
      if (of_rollout) {
        rollout_->Staged(session->id());
        if (rollout_->committed()) {
          audience_.SendDecision(session, ack.position, true, "committed before", turn);
        }
        TryCommit(turn);
      }
      break;
    case Meaning::kApplied:
      if (of_rollout && rollout_->committed()) {
        rollout_->Applied(session->id());
        TickRollout(turn);
      }
      break;
    case Meaning::kSendFull:
      if (const PlanRecord* record = history_.Find(ack.position)) {
        const PlacementMode mode = of_rollout && !rollout_->committed() ? PlacementMode::kPrepare
                                                                        : TargetOf(*session).mode;
        audience_.SendPlacement(session, *record, mode, true, turn);
      }
      break;
    case Meaning::kRefused:
      Refused(session, ack, result.hash, turn);
      break;
    case Meaning::kRolledBack:
      RolledBack(session, ack, result.hash, turn);
      break;
    case Meaning::kNothing:
    case Meaning::kEnd:
      break;
  }
  AskToStage(session, turn);
}

void Publisher::Refused(SubscriberSession* session, const PlanAck& ack, uint64_t hash, Turn& turn) {
  const std::string text =
      absl::StrCat(session->actor() ? "actor \"" : "observer \"", session->id(), "\" refuses ",
                   ToString(ack.position), ": ", ack.nack_message);
  journal_.Log(true, text, turn);
  if (!session->actor()) {
    return;
  }
  Quarantine(hash, turn);
  if (!quarantined(hash)) {
    session->Forgive(hash);  // the fallback: asked for again, ever more rarely
  }
  if (ack.position == in_force()) {
    given_up_ = true;  // a group whose members cannot all run it cannot keep it
  } else if (rollout_.has_value() && rollout_->position() == ack.position) {
    Abort(text, turn);  // or, if it is too late for that, a way back follows the commit
  }
}

void Publisher::RolledBack(SubscriberSession* session, const PlanAck& ack, uint64_t hash,
                           Turn& turn) {
  if (aborted_.has_value() && aborted_->position == ack.position) {
    aborted_->actors.erase(session->id());
    return;
  }
  if (session->actor() && ack.position == in_force()) {
    journal_.Log(true,
                 absl::StrCat("actor \"", session->id(), "\" has given up ", ToString(ack.position),
                              ": ", ack.nack_message),
                 turn);
    Quarantine(hash, turn);
    given_up_ = true;
  }
}

void Publisher::TryCommit(Turn& turn) {
  std::string missing;
  if (!rollout_.has_value() || rollout_->committed() || write_.has_value() ||
      !rollout_->AllStaged(deployment_.topology, &missing)) {
    return;
  }
  const PlanRecord* record = history_.Find(rollout_->position());
  Write write;
  write.record = *record;
  write.record.committed = true;
  write.commit = true;
  StartWrite(std::move(write), turn);
}

void Publisher::Abort(const std::string& reason, Turn& turn) {
  const bool writing = write_.has_value() && write_->commit;
  if (!rollout_.has_value() || rollout_->committed() || (writing && !write_->failed)) {
    return;  // once the commit is on its way to the disk there is no way back
  }
  if (writing) {
    // The failed write may have reached the disk all the same.
    write_->record.committed = false;
    turn.effects.push_back(effect::StorePlan{deployment_.name, write_->record});
    write_.reset();
  }
  aborted_ = Aborted{rollout_->position(), reason, {}, 1, turn.now};
  maybe_staged_ = rollout_->position();
  ++journal_.counters.rollouts_aborted;
  aborts_ = {aborts_.in_a_row + 1, turn.now, reason};
  if (const PlanRecord* record = history_.InForce(); active() && record != nullptr) {
    given_up_ = given_up_ || record->quarantined;  // it was the way back, and is still wanted
  }
  journal_.Log(true, absl::StrCat(ToString(rollout_->position()), " aborted: ", reason), turn);
  for (const std::string& actor : rollout_->Actors()) {
    SubscriberSession* session = audience_.Find(actor);
    if (session != nullptr && session->stream().has_value()) {
      aborted_->actors.insert(actor);
      audience_.SendDecision(session, aborted_->position, false, reason, turn);
    }
  }
  rollout_.reset();
}

void Publisher::Tick(Turn& turn) {
  audience_.Tick(turn);
  DropDisconnected();
  if (write_.has_value() && write_->failed &&
      turn.now - write_->since >= options_.policy.commit_resend) {
    write_.reset();  // tried again below, if all are still ready for it
  }
  TryCommit(turn);
  TickRollout(turn);
  TickAborted(turn);
  for (SubscriberSession* session : audience_.Connected()) {
    if (session->ProgressDue(options_.session, turn.now)) {
      const PlanRecord* record = TargetOf(*session).record;
      audience_.Send(session,
                     Progress{record == nullptr ? Position{} : record->plan->position,
                              session->grouping().position},
                     turn);
    }
  }
}

void Publisher::TickRollout(Turn& turn) {
  if (!rollout_.has_value()) {
    return;
  }
  const Position position = rollout_->position();
  const bool late = rollout_->TimedOut(options_.policy.stage_timeout, turn.now);
  if (!rollout_->committed()) {
    const bool writing = write_.has_value() && write_->commit;
    std::string missing;
    if (late && (!writing || write_->failed) &&
        !(rollout_->AllStaged(deployment_.topology, &missing) && !writing)) {
      if (writing) {
        missing = "the commit could not be stored";
      }
      Abort(absl::StrCat("not staged in time: ", missing), turn);
    }
    return;
  }
  if (rollout_->Done() || late) {
    for (const Rollout::Stage stage : {Rollout::Stage::kAsked, Rollout::Stage::kStaged}) {
      for (const std::string& actor : rollout_->At(stage)) {
        journal_.Log(
            true, absl::StrCat("actor \"", actor, "\" has not applied ", ToString(position)), turn);
      }
    }
    rollout_.reset();
  } else if (turn.now - commit_sent_ >= options_.policy.commit_resend) {
    commit_sent_ = turn.now;
    SendCommit("again", turn);
  }
}

void Publisher::SendCommit(const std::string& reason, Turn& turn) {
  for (const std::string& actor : rollout_->At(Rollout::Stage::kStaged)) {
    SubscriberSession* session = audience_.Find(actor);
    if (session != nullptr && session->stream().has_value()) {
      audience_.SendDecision(session, rollout_->position(), true, reason, turn);
    }
  }
}

void Publisher::TickAborted(Turn& turn) {
  if (!aborted_.has_value() || turn.now - aborted_->last_sent < options_.policy.commit_resend) {
    return;
  }
  if (aborted_->actors.empty() || aborted_->tries >= kAbortTries) {
    aborted_.reset();
    return;
  }
  ++aborted_->tries;
  aborted_->last_sent = turn.now;
  for (const std::string& actor : aborted_->actors) {
    SubscriberSession* session = audience_.Find(actor);
    if (session != nullptr && session->stream().has_value()) {
      audience_.SendDecision(session, aborted_->position, false, aborted_->reason, turn);
    }
  }
}

}  // namespace advisor
