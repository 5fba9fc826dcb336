#include "core/engine/publisher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "core/session/errors.h"

namespace advisor {

Publisher::Publisher(const Deployment& deployment, const DeploymentOptions& options,
                     Journal& journal, uint64_t epoch, const StoredDeployment& stored)
    : deployment_(deployment),
      options_(options),
      journal_(journal),
      epoch_(epoch),
      history_(options.session.kept_plans),
      audience_(deployment, options, history_, journal) {
  for (const PlanRecord& record : stored.records) {
    history_.Add(record);
    epoch_ = std::max(epoch_, record.plan->position.epoch + 1);
    revision_ = std::max(revision_, record.plan->position.revision);
    grouping_revision_ = std::max(grouping_revision_, record.grouping.revision);
  }
  if (stored.state.has_value()) {
    frozen_ = stored.state->frozen;
    quarantined_.assign(stored.state->quarantined_hashes.begin(),
                        stored.state->quarantined_hashes.end());
    std::erase(quarantined_, PlacementHash(Fallback()));
    for (const uint64_t hash : quarantined_) {
      history_.MarkQuarantined(hash);
    }
  }
  if (history_.Latest() != nullptr && !history_.Latest()->committed) {
    maybe_staged_ = latest();
  }
}

void Publisher::AddOlder(std::vector<PlanRecord> records) {
  history_.AddOlder(std::move(records));
  for (const uint64_t hash : quarantined_) {
    history_.MarkQuarantined(hash);
  }
}

Position Publisher::latest() const {
  const PlanRecord* record = history_.Latest();
  return record == nullptr ? Position{} : record->plan->position;
}

Position Publisher::in_force() const {
  const PlanRecord* record = history_.InForce();
  return record == nullptr ? Position{} : record->plan->position;
}

const PlanRecord* Publisher::Reference(bool advice) const {
  return active() && !advice ? history_.InForce() : history_.LatestAdvice();
}

bool Publisher::quarantined(uint64_t content_hash) const {
  return std::find(quarantined_.begin(), quarantined_.end(), content_hash) != quarantined_.end();
}

// --- Writing -----------------------------------------------------------------------------------

// Deals requests by load alone: what replaces a grouping where the new plan has none.
Grouping Publisher::GroupingByLoad() const {
  const Topology& topology = deployment_.topology;
  Grouping g;
  g.layers = deployment_.model.moe_layers;
  g.experts = deployment_.model.experts;
  g.nodes = topology.node_count();
  g.bias.assign(g.nodes, 0);
  g.affinity.assign(size_t(g.layers) * g.experts * g.nodes, 0);
  for (int n = 0; n < g.nodes; ++n) {
    g.node_share.push_back(static_cast<float>(topology.gpus_on(NodeId(n))) /
                           static_cast<float>(topology.gpu_count()));
  }
  return g;
}

Position Publisher::NextGrouping(const Plan& plan) {
  if (plan.grouping.empty()) {
    return {};
  }
  const PlanRecord* latest = history_.Latest();
  if (latest != nullptr && GroupingHash(latest->plan->grouping) == GroupingHash(plan.grouping)) {
    return latest->grouping;
  }
  return {epoch_, ++grouping_revision_};
}

void Publisher::Publish(Plan plan, Verdict verdict, bool advice, std::optional<CommandId> command,
                        Turn& turn) {
  Write write;
  if (plan.grouping.empty() && grouping_revision_ > 0) {
    plan.grouping = GroupingByLoad();
  }
  write.record.grouping = NextGrouping(plan);
  plan.deployment = deployment_.name;
  plan.position = {epoch_, ++revision_};
  plan.grouping.revision = write.record.grouping.revision;
  plan.reason = ToString(verdict.reason);
  write.record.content_hash = PlacementHash(plan);
  write.record.reason = verdict.reason;
  write.record.detail = verdict.detail;
  write.record.plan = std::make_shared<const Plan>(std::move(plan));
  write.advice = advice;
  write.verdict = std::move(verdict);
  write.command = command;
  StartWrite(std::move(write), turn);
}

void Publisher::StartWrite(Write write, Turn& turn) {
  write.failed = false;
  write.since = turn.now;
  turn.effects.push_back(effect::StorePlan{deployment_.name, write.record});
  write_ = std::move(write);
}

void Publisher::Stored(const event::PlanStored& stored, Turn& turn) {
  if (!write_.has_value() || write_->failed || write_->record.plan->position != stored.position) {
    return;
  }
  if (write_->commit && !stored.status.ok()) {
    journal_.Log(true,
                 absl::StrCat("commit of ", ToString(stored.position),
                              " could not be stored: ", stored.status.ToString()),
                 turn);
    write_->failed = true;
    write_->since = turn.now;
    return;
  }
  Write write = *std::exchange(write_, std::nullopt);
  write.record.published_unix_ms = stored.published_unix_ms;
  if (write.commit) {
    Committed(write.record, turn);
  } else if (stored.status.ok()) {
    Published(write, turn);
  } else {
    PublicationFailed(write, stored.status, turn);
  }
}

void Publisher::PublicationFailed(const Write& write, const absl::Status& status, Turn& turn) {
  const Verdict verdict{DecisionReason::kStoreFailed,
                        absl::StrCat(ToString(write.record.plan->position),
                                     " could not be stored: ", status.ToString())};
  journal_.Decide(verdict, {}, turn);
  if (write.command.has_value()) {
    turn.effects.push_back(effect::CommandDone{*write.command,
                                               absl::UnavailableError(verdict.detail),
                                               verdict.reason,
                                               verdict.detail,
                                               {}});
  }
}

void Publisher::Published(const Write& write, Turn& turn) {
  const Plan& plan = *write.record.plan;
  history_.Add(write.record);
  ++journal_.counters.plans_published;
  journal_.counters.slots_moved += plan.moves.size();
  for (const Move& move : plan.moves) {
    journal_.counters.bytes_moved += move.bytes;
  }
  journal_.Decide(write.verdict, plan.position, turn);
  if (write.command.has_value()) {
    turn.effects.push_back(effect::CommandDone{*write.command, absl::OkStatus(),
                                               write.verdict.reason, write.verdict.detail,
                                               plan.position});
  }
  aborted_.reset();  // a later PREPARE replaces whatever is still staged
  if (active() && !write.advice && !quarantined(write.record.content_hash)) {
    rollout_.emplace(plan.position, write.record.content_hash);
    maybe_staged_ = {};
  } else {
    last_placement_ = turn.now;
  }
  OfferAll(turn);
}

void Publisher::Committed(const PlanRecord& record, Turn& turn) {
  const Position position = record.plan->position;
  history_.MarkCommitted(position);
  ++journal_.counters.rollouts_committed;
  last_placement_ = commit_sent_ = turn.now;
  journal_.Log(false, absl::StrCat("all actors staged ", ToString(position), ": committed"), turn);
  rollout_->Commit(turn.now);
  SendCommit(record.detail, turn);
  UseGroupingInForce(turn);
  OfferAll(turn);
  aborts_ = {};
  given_up_ = given_up_ || quarantined(record.content_hash);
}

void Publisher::UseGroupingInForce(Turn& turn) {
  const PlanRecord* record = history_.InForce();
  if (record != nullptr && !record->plan->grouping.empty()) {
    turn.effects.push_back(effect::UseGrouping{deployment_.name, record->plan, record->grouping});
  }
}

void Publisher::StoreState(Turn& turn) {
  DeploymentState state;
  state.mode = deployment_.mode;
  state.frozen = frozen_;
  state.quarantined_hashes.assign(quarantined_.begin(), quarantined_.end());
  turn.effects.push_back(effect::StoreState{deployment_.name, std::move(state)});
}

void Publisher::SetFrozen(bool frozen, Turn& turn) {
  frozen_ = frozen;
  StoreState(turn);
}

Plan Publisher::Fallback() const {
  Plan plan;
  plan.model = deployment_.model;
  plan.topology = deployment_.topology;
  plan.placement = LinearPlacement(plan.model, plan.topology);
  plan.method = ToString(Method::kLinear);
  return plan;
}

void Publisher::Quarantine(uint64_t content_hash, Turn& turn) {
  if (quarantined(content_hash) || content_hash == PlacementHash(Fallback())) {
    return;
  }
  quarantined_.push_back(content_hash);
  if (quarantined_.size() > kKeptQuarantined) {
    quarantined_.pop_front();
  }
  history_.MarkQuarantined(content_hash);
  StoreState(turn);
}

void Publisher::ModeChanged(Turn& turn) {
  StoreState(turn);
  if (!active()) {
    Abort("the deployment is advisory now", turn);
  }
  aborts_ = {};
  OfferAll(turn);
}

void Publisher::TopologyChanged(Turn& turn) {
  Abort("the topology has changed", turn);
  aborts_ = {};
  audience_.TopologyChanged(turn);
  DropDisconnected();
}

void Publisher::JumpAbove(const Position& shown, Turn& turn) {
  epoch_ = std::max(epoch_, shown.epoch + 1);
  journal_.Log(true,
               absl::StrCat("a peer shows ", ToString(shown), ", the store ends at ",
                            ToString(latest()), ": it is behind; the epoch is ", epoch_, " now"),
               turn);
}

void Publisher::FillStatus(DeploymentStatus* status) const {
  audience_.FillStatus(status);
  status->frozen = frozen_;
  status->position = latest();
  status->in_force = in_force();
  if (const PlanRecord* record = history_.InForce()) {
    status->grouping = record->grouping;
  }
  status->plans.assign(history_.records().rbegin(), history_.records().rend());
}

}  // namespace advisor
