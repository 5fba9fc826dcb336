#include "core/engine/engine.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/check.h"
#include "core/engine/deployment_engine.h"
#include "core/session/errors.h"

namespace advisor {

struct Engine::Rep {
  uint64_t epoch = 1;
  uint64_t next_ticket = 1;
  absl::Time now = absl::InfinitePast();
  std::map<std::string, std::unique_ptr<DeploymentEngine>> deployments;
  std::map<StreamId, DeploymentEngine*> streams;

  DeploymentEngine* Find(const std::string& name) {
    const auto it = deployments.find(name);
    return it == deployments.end() ? nullptr : it->second.get();
  }

  void Handle(event::Start event, Turn&) { epoch = event.epoch; }

  void Handle(event::AddDeployment event, Turn& turn) {
    const std::string name = event.deployment.name;
    ADVISOR_CHECK(!deployments.contains(name));
    deployments[name] =
        std::make_unique<DeploymentEngine>(std::move(event), epoch, next_ticket, turn);
  }

  void Handle(event::OlderPlans event, Turn&) {
    if (DeploymentEngine* deployment = Find(event.deployment)) {
      deployment->Handle(std::move(event));
    }
  }

  void Handle(event::UpdateDeployment event, Turn& turn) {
    if (DeploymentEngine* deployment = Find(event.deployment.name)) {
      deployment->Handle(std::move(event), turn);
    }
  }

  void Handle(const event::ReporterOpened& event, Turn& turn) { Open(event, turn); }
  void Handle(const event::SubscriberOpened& event, Turn& turn) { Open(event, turn); }
  void Handle(const event::ReporterFrame& event, Turn& turn) { OnStream(event, turn); }
  void Handle(const event::ReporterWindow& event, Turn& turn) { OnStream(event, turn); }
  void Handle(const event::ReporterGap& event, Turn& turn) { OnStream(event, turn); }
  void Handle(const event::SubscriberAcked& event, Turn& turn) { OnStream(event, turn); }
  void Handle(const event::ReporterClosed& event, Turn& turn) { Close(event, turn); }
  void Handle(const event::SubscriberClosed& event, Turn& turn) { Close(event, turn); }
  void Handle(const event::SolveDone& event, Turn& turn) { ForDeployment(event, turn); }
  void Handle(const event::PlanStored& event, Turn& turn) { ForDeployment(event, turn); }
  void Handle(const event::SolveNow& event, Turn& turn) { Command(event, turn); }
  void Handle(const event::SetMode& event, Turn& turn) { Command(event, turn); }
  void Handle(const event::SetFrozen& event, Turn& turn) { Command(event, turn); }
  void Handle(const event::Rollback& event, Turn& turn) { Command(event, turn); }
  void Handle(const event::GetWindow& event, Turn& turn) { Command(event, turn); }

  void Handle(const event::Tick& event, Turn& turn) {
    for (auto& [name, deployment] : deployments) {
      deployment->Handle(event, turn);
    }
  }

  template <typename E>
  void Open(const E& event, Turn& turn) {
    DeploymentEngine* deployment = Find(event.hello.deployment);
    if (deployment == nullptr) {
      turn.effects.push_back(
          effect::EndStream{event.stream, error::NoSuchDeployment(event.hello.deployment)});
      return;
    }
    streams[event.stream] = deployment;
    deployment->Handle(event, turn);
  }

  template <typename E>
  void OnStream(const E& event, Turn& turn) {
    const auto it = streams.find(event.stream);
    if (it != streams.end()) {
      it->second->Handle(event, turn);
    }
  }

  template <typename E>
  void Close(const E& event, Turn& turn) {
    OnStream(event, turn);
    streams.erase(event.stream);
  }

  template <typename E>
  void ForDeployment(const E& event, Turn& turn) {
    if (DeploymentEngine* deployment = Find(event.deployment)) {
      deployment->Handle(event, turn);
    }
  }

  template <typename E>
  void Command(const E& event, Turn& turn) {
    if (DeploymentEngine* deployment = Find(event.deployment)) {
      deployment->Handle(event, turn);
      return;
    }
    turn.effects.push_back(effect::CommandDone{
        event.id, error::NoSuchDeployment(event.deployment), DecisionReason::kNone, "", {}});
  }
};

Engine::Engine() : rep_(std::make_unique<Rep>()) {}
Engine::~Engine() = default;

Effects Engine::Step(Event event, absl::Time now) {
  rep_->now = std::max(rep_->now, now);
  Effects effects;
  Turn turn{rep_->now, effects};
  std::visit([&](auto&& e) { rep_->Handle(std::move(e), turn); }, std::move(event));
  return effects;
}

EngineStatus Engine::Status() const {
  EngineStatus status;
  status.epoch = rep_->epoch;
  for (const auto& [name, deployment] : rep_->deployments) {
    status.epoch = std::max(status.epoch, deployment->epoch());
    status.deployments.push_back(deployment->Status(rep_->now));
  }
  return status;
}

}  // namespace advisor
