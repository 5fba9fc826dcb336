#include "core/engine/deployment_engine.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/window/snapshot.h"

namespace advisor {

DeploymentEngine::DeploymentEngine(event::AddDeployment event, uint64_t epoch,
                                   uint64_t& next_ticket, Turn& turn)
    : deployment_(std::move(event.deployment)),
      options_(std::move(event.options)),
      file_mode_(deployment_.mode),
      journal_(deployment_.name),
      ingest_(deployment_, options_, journal_),
      publisher_(deployment_, options_, journal_, epoch, event.stored),
      planner_(deployment_, options_, journal_, ingest_, publisher_, next_ticket) {
  if (event.stored.state.has_value() && event.stored.state->mode != deployment_.mode) {
    deployment_.mode = event.stored.state->mode;
    journal_.Log(true,
                 absl::StrCat("mode is ", ToString(deployment_.mode), ", as last set, not ",
                              ToString(file_mode_), " as in the file: use `advisorctl mode`"),
                 turn);
  }
  publisher_.Start(turn);
}

void DeploymentEngine::SetMode(Mode mode, Turn& turn) {
  if (mode == deployment_.mode) {
    return;
  }
  deployment_.mode = mode;
  journal_.Log(false, absl::StrCat("mode is ", ToString(mode), " now"), turn);
  publisher_.ModeChanged(turn);
  planner_.ModeChanged(turn);
}

void DeploymentEngine::Handle(event::UpdateDeployment event, Turn& turn) {
  if (ModelFingerprint(event.deployment.model) != ModelFingerprint(deployment_.model)) {
    journal_.Log(true, "the new file is for another model and is ignored: restart the daemon",
                 turn);
    return;
  }
  const Mode mode = deployment_.mode;
  const bool new_mode = event.deployment.mode != file_mode_;
  const bool new_topology = event.deployment.topology != deployment_.topology;
  file_mode_ = event.deployment.mode;
  deployment_ = std::move(event.deployment);
  deployment_.mode = mode;
  options_ = std::move(event.options);
  if (new_topology) {
    ingest_.TopologyChanged(turn);
    publisher_.TopologyChanged(turn);
    planner_.TopologyChanged(turn);
  }
  if (new_mode) {
    SetMode(file_mode_, turn);
  }
}

void DeploymentEngine::Handle(const event::ReporterOpened& event, Turn& turn) {
  ingest_.Open(event.stream, event.hello, publisher_.epoch(), turn);
}

void DeploymentEngine::Handle(const event::ReporterFrame& event, Turn& turn) {
  if (const auto visits = ingest_.TakeFrame(event.stream, event.frame, turn)) {
    planner_.Measured(*visits, turn);
  }
}

void DeploymentEngine::Handle(const event::ReporterWindow& event, Turn& turn) {
  ingest_.TakeWindow(event.stream, event.window, turn);
}

void DeploymentEngine::Handle(const event::ReporterGap& event, Turn& turn) {
  ingest_.TakeGap(event.stream, turn);
}

void DeploymentEngine::Handle(const event::ReporterClosed& event, Turn&) {
  ingest_.Closed(event.stream);
}

void DeploymentEngine::Handle(const event::SubscriberOpened& event, Turn& turn) {
  publisher_.Open(event.stream, event.hello, turn);
}

void DeploymentEngine::Handle(const event::SubscriberAcked& event, Turn& turn) {
  publisher_.Acked(event.stream, event.ack, turn);
}

void DeploymentEngine::Handle(const event::SubscriberClosed& event, Turn& turn) {
  publisher_.Closed(event.stream, turn.now);
}

void DeploymentEngine::Handle(const event::SolveDone& event, Turn& turn) {
  planner_.Done(event, turn);
}

void DeploymentEngine::Handle(const event::PlanStored& event, Turn& turn) {
  publisher_.Stored(event, turn);
}

void DeploymentEngine::Handle(const event::SolveNow& event, Turn& turn) {
  planner_.SolveNow(event, turn);
}

void DeploymentEngine::Handle(const event::SetMode& event, Turn& turn) {
  SetMode(event.mode, turn);
  turn.effects.push_back(effect::CommandDone{event.id, {}, DecisionReason::kNone, "", {}});
}

void DeploymentEngine::Handle(const event::SetFrozen& event, Turn& turn) {
  if (event.frozen != publisher_.frozen()) {
    publisher_.SetFrozen(event.frozen, turn);
    journal_.Log(false, event.frozen ? "publishing is stopped" : "publishing goes on", turn);
    planner_.FrozenChanged(turn);
  }
  turn.effects.push_back(effect::CommandDone{event.id, {}, DecisionReason::kNone, "", {}});
}

void DeploymentEngine::Handle(const event::Rollback& event, Turn& turn) {
  planner_.Rollback(event, turn);
}

void DeploymentEngine::Handle(const event::GetWindow& event, Turn& turn) {
  effect::CommandDone done{event.id, {}, DecisionReason::kNone, "", {}};
  Traffic window = TakeSnapshot(ingest_.window(), 0).train;
  if (window.requests.empty()) {
    done.status = absl::FailedPreconditionError(absl::StrFormat(
        "deployment \"%s\" has no traffic in its window yet; are its agents reporting?",
        deployment_.name));
  } else {
    window.source = absl::StrFormat("window of deployment %s", deployment_.name);
    done.window = std::make_shared<const Traffic>(std::move(window));
  }
  turn.effects.push_back(std::move(done));
}

void DeploymentEngine::Handle(const event::Tick&, Turn& turn) {
  ingest_.Tick(turn);
  publisher_.Tick(turn);
  planner_.Tick(turn);
}

DeploymentStatus DeploymentEngine::Status(absl::Time now) const {
  DeploymentStatus status;
  status.deployment = deployment_;
  ingest_.FillStatus(now, &status);
  publisher_.FillStatus(&status);
  planner_.FillStatus(&status);
  status.decisions = journal_.decisions();
  status.counters = journal_.counters;
  return status;
}

}  // namespace advisor
