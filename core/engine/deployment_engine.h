#ifndef ADVISOR_CORE_ENGINE_DEPLOYMENT_ENGINE_H_
#define ADVISOR_CORE_ENGINE_DEPLOYMENT_ENGINE_H_

#include <cstdint>
#include <string>

#include "core/engine/ingest.h"
#include "core/engine/journal.h"
#include "core/engine/planner.h"
#include "core/engine/publisher.h"

namespace advisor {

// One deployment of the engine: reports come in through Ingest, Planner decides, Publisher brings
// out.
class DeploymentEngine {
 public:
  // `next_ticket` is shared by all deployments.
  DeploymentEngine(event::AddDeployment event, uint64_t epoch, uint64_t& next_ticket, Turn& turn);
  DeploymentEngine(const DeploymentEngine&) = delete;
  DeploymentEngine& operator=(const DeploymentEngine&) = delete;

  void Handle(event::OlderPlans event) { publisher_.AddOlder(std::move(event.records)); }
  void Handle(event::UpdateDeployment event, Turn& turn);
  void Handle(const event::ReporterOpened& event, Turn& turn);
  void Handle(const event::ReporterFrame& event, Turn& turn);
  void Handle(const event::ReporterWindow& event, Turn& turn);
  void Handle(const event::ReporterGap& event, Turn& turn);
  void Handle(const event::ReporterClosed& event, Turn& turn);
  void Handle(const event::SubscriberOpened& event, Turn& turn);
  void Handle(const event::SubscriberAcked& event, Turn& turn);
  void Handle(const event::SubscriberClosed& event, Turn& turn);
  void Handle(const event::SolveDone& event, Turn& turn);
  void Handle(const event::PlanStored& event, Turn& turn);
  void Handle(const event::SolveNow& event, Turn& turn);
  void Handle(const event::SetMode& event, Turn& turn);
  void Handle(const event::SetFrozen& event, Turn& turn);
  void Handle(const event::Rollback& event, Turn& turn);
  void Handle(const event::GetWindow& event, Turn& turn);
  void Handle(const event::Tick& event, Turn& turn);

  DeploymentStatus Status(absl::Time now) const;
  uint64_t epoch() const { return publisher_.epoch(); }

 private:
  void SetMode(Mode mode, Turn& turn);

  Deployment deployment_;  // mode: as it is now
  DeploymentOptions options_;
  Mode file_mode_;  // as the deployment file last said
  Journal journal_;
  Ingest ingest_;
  Publisher publisher_;
  Planner planner_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_DEPLOYMENT_ENGINE_H_
