// The half of Planner that goes back to an earlier plan, or says the present one again.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/engine/planner.h"
#include "core/session/errors.h"
#include "core/solver/moves.h"

namespace advisor {

void Planner::FollowInForce() {
  if (watch_.position() == publisher_.in_force()) {
    return;
  }
  std::optional<double> predicted;
  const PlanRecord* record = publisher_.history().InForce();
  if (record != nullptr && record->plan->predicted.has_value()) {
    predicted = record->plan->predicted->figures.saving_ratio;
  }
  watch_.Start(publisher_.in_force(), predicted);
}

void Planner::Measured(const MeasuredVisits& visits, Turn& turn) {
  FollowInForce();
  if (visits.applied != watch_.position() || visits.tokens == 0) {
    return;
  }
  watch_.Add(visits.tokens, visits.remote_visits, visits.baseline_remote_visits);
  if (const std::optional<double> saving = watch_.measured_saving()) {
    publisher_.SetMeasuredSaving(watch_.position(), *saving);
  }
  if (drift_ > options_.policy.drift_threshold) {
    watch_.StartOver();
    return;
  }
  if (std::optional<Verdict> verdict =
          watch_.Check(options_.policy, ingest_.tokens_closed(), ingest_.window().tokens())) {
    journal_.Log(true, verdict->detail, turn);
    go_back_ = *std::move(verdict);
  }
}

void Planner::GoBack(Turn& turn) {
  if (publisher_.frozen()) {
    journal_.Wait({DecisionReason::kFrozen, "there is something to publish: unfreeze to go on"},
                  turn);
    return;
  }
  if (publisher_.rollout_running()) {
    return;
  }
  if (const std::optional<Verdict> pause =
          PauseAfterAborts(publisher_.aborts(), options_.policy, turn.now)) {
    journal_.Wait(*pause, turn);
    return;
  }
  journal_.StopWaiting();
  const std::optional<Verdict> back = std::exchange(go_back_, std::nullopt);
  const PlanRecord* in_force = publisher_.history().InForce();
  if (!back.has_value()) {
    republish_ = false;
    if (const PlanRecord* record = publisher_.Reference(false)) {
      Republish(*record->plan, republish_why_, std::nullopt, turn);
    } else if (const PlanRecord* advice = publisher_.history().LatestAdvice()) {
      Republish(*advice->plan, republish_why_, std::nullopt, turn);
    }
    return;
  }
  if (in_force == nullptr) {
    return;
  }
  publisher_.Quarantine(in_force->content_hash, turn);
  const PlanRecord* old = publisher_.history().CommittedBefore(in_force->plan->position);
  if (old != nullptr && old->plan->topology == deployment_.topology) {
    Republish(*old->plan, *back, std::nullopt, turn);
    return;
  }
  const Plan fallback = publisher_.Fallback();
  if (in_force->content_hash == PlacementHash(fallback)) {
    Keep({DecisionReason::kSameContent,
          absl::StrCat("the linear placement is in force: there is nothing to go back to; ",
                       back->detail)},
         std::nullopt, turn);
    return;
  }
  Republish(fallback, *back, std::nullopt, turn);
}

void Planner::Republish(const Plan& content, Verdict verdict, std::optional<CommandId> command,
                        Turn& turn) {
  if (publisher_.quarantined(PlacementHash(content))) {
    Keep({DecisionReason::kQuarantined,
          absl::StrCat(ToString(verdict.reason), " wanted content that was refused before")},
         command, turn);
    return;
  }
  Plan plan = content;
  plan.moves = MovesFrom(ReferencePlan(false).get(), plan);
  publisher_.Publish(std::move(plan), std::move(verdict), false, command, turn);
}

void Planner::CatchUpWithPeers(Turn& turn) {
  const Position shown = std::max(ingest_.shown(), publisher_.shown());
  if (publisher_.busy() || shown <= publisher_.latest() || shown <= answered_) {
    return;
  }
  answered_ = shown;
  publisher_.JumpAbove(shown, turn);
  republish_ = publisher_.latest() != Position{};
  republish_why_ = {DecisionReason::kRollForward,
                    absl::StrCat("a peer showed ", ToString(shown),
                                 ", which the store does not have: same content, newer position")};
}

void Planner::ModeChanged(Turn& turn) {
  Cancel({DecisionReason::kStaleResult, "the mode changed while solving"}, turn);
  const PlanRecord* advice = publisher_.history().LatestAdvice();
  if (deployment_.mode == Mode::kActive && advice != nullptr && !advice->committed &&
      advice->plan->topology == deployment_.topology) {
    republish_ = true;
    republish_why_ = {DecisionReason::kOperator, "the deployment is active now: to be acted on"};
  }
}

void Planner::FrozenChanged(Turn& turn) {
  if (publisher_.frozen()) {
    Cancel({DecisionReason::kFrozen, "publishing was stopped while solving"}, turn);
  }
}

void Planner::TopologyChanged(Turn& turn) {
  Cancel({DecisionReason::kStaleResult, "the topology changed while solving"}, turn);
  go_back_.reset();
  republish_ = false;
}

void Planner::Rollback(const event::Rollback& command, Turn& turn) {
  const PlanHistory& history = publisher_.history();
  const PlanRecord* reference = publisher_.Reference(false);
  const Position now = reference == nullptr ? Position{} : reference->plan->position;
  const PlanRecord* to = command.to == Position{} ? history.Before(now) : history.Find(command.to);
  absl::Status status;
  if (to == nullptr) {
    status =
        absl::NotFoundError(command.to == Position{} ? std::string("no earlier plan is kept")
                                                     : absl::StrCat("plan ", ToString(command.to),
                                                                    " is not kept: see `plans`"));
  } else if (publisher_.frozen()) {
    status = absl::FailedPreconditionError("the deployment is frozen: unfreeze it first");
  } else if (to->quarantined) {
    status = absl::FailedPreconditionError(
        absl::StrCat("plan ", ToString(to->plan->position), " was quarantined"));
  } else if (reference != nullptr && to->content_hash == reference->content_hash) {
    status = absl::FailedPreconditionError(
        absl::StrCat("plan ", ToString(to->plan->position), " is what runs already"));
  } else if (to->plan->topology != deployment_.topology) {
    status = absl::FailedPreconditionError(
        absl::StrCat("plan ", ToString(to->plan->position), " is for another topology"));
  } else if (publisher_.busy() || publisher_.rollout_running()) {
    status = absl::UnavailableError("a rollout is under way: try again");
  }
  if (!status.ok()) {
    turn.effects.push_back(effect::CommandDone{command.id, status, DecisionReason::kNone, "", {}});
    return;
  }
  Cancel({DecisionReason::kStaleResult, "an operator rolled back while solving"}, turn);
  publisher_.ForgetAborts();
  Republish(*to->plan,
            {DecisionReason::kRollback,
             absl::StrCat("content of ", ToString(to->plan->position), " again")},
            command.id, turn);
}

}  // namespace advisor
