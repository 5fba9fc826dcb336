#ifndef ADVISOR_CORE_ENGINE_EVENT_H_
#define ADVISOR_CORE_ENGINE_EVENT_H_

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/engine/options.h"
#include "core/model/deployment.h"
#include "core/policy/reason.h"
#include "core/session/messages.h"

namespace advisor {

// A published plan with what must survive a restart beside it.
struct PlanRecord {
  std::shared_ptr<const Plan> plan;
  uint64_t content_hash = 0;
  Position grouping;  // position of plan->grouping
  DecisionReason reason = DecisionReason::kNone;
  std::string detail;
  int64_t published_unix_ms = 0;  // for display; 0: filled by the server when it stores the record
  bool quarantined = false;
  bool committed = false;  // engines were told to switch (active mode)
  // While it was in force under this daemon; not stored.
  std::optional<double> measured_saving;
};

// Durable settings of a deployment.
struct DeploymentState {
  Mode mode = Mode::kAdvisory;
  bool frozen = false;
  std::vector<uint64_t> quarantined_hashes;
};

// What the store held for a deployment when the daemon started; newest record last. Older ones may
// follow in event::OlderPlans: here are those from the placement in force, the one to go back to
// and the latest advice on.
struct StoredDeployment {
  std::vector<PlanRecord> records;
  std::optional<DeploymentState> state;
};

// Identifies a command of an operator until its reply.
using CommandId = StrongId<struct CommandTag, uint64_t>;
// Identifies a solve until its result.
using SolveTicket = StrongId<struct SolveTag, uint64_t>;

namespace event {

// First event. `epoch` is greater than that of anything stored.
struct Start {
  uint64_t epoch = 0;
};
struct AddDeployment {
  Deployment deployment;
  DeploymentOptions options;
  StoredDeployment stored;
};
// Records older than those of AddDeployment, newest last.
struct OlderPlans {
  std::string deployment;
  std::vector<PlanRecord> records;
};
// The deployment file changed: topology, caps, policy. The model must stay the same.
struct UpdateDeployment {
  Deployment deployment;
  DeploymentOptions options;
};

struct ReporterOpened {
  StreamId stream;
  ReporterHello hello;
};
struct ReporterFrame {
  StreamId stream;
  Frame frame;
};
struct ReporterWindow {
  StreamId stream;
  WindowReplay window;
};
// Frames of the stream were dropped before they came here: as if the gap had been seen.
struct ReporterGap {
  StreamId stream;
};
struct ReporterClosed {
  StreamId stream;
};

struct SubscriberOpened {
  StreamId stream;
  SubscriberHello hello;
};
struct SubscriberAcked {
  StreamId stream;
  PlanAck ack;
};
struct SubscriberClosed {
  StreamId stream;
};

struct SolveDone {
  std::string deployment;
  SolveTicket ticket;
  absl::StatusOr<std::shared_ptr<const Plan>> plan;
};
struct PlanStored {
  std::string deployment;
  Position position;
  absl::Status status;
  int64_t published_unix_ms = 0;  // as it was stored
};

struct SolveNow {
  CommandId id;
  std::string deployment;
  bool force = false;
};
struct SetMode {
  CommandId id;
  std::string deployment;
  Mode mode = Mode::kAdvisory;
};
struct SetFrozen {
  CommandId id;
  std::string deployment;
  bool frozen = false;
};
struct Rollback {
  CommandId id;
  std::string deployment;
  Position to;
};  // {0, 0}: the one before
// Answered with the window as it is.
struct GetWindow {
  CommandId id;
  std::string deployment;
};

// Time passes; sent at least every 100 ms.
struct Tick {};

}  // namespace event

using Event = std::variant<event::Start, event::AddDeployment, event::OlderPlans,
                           event::UpdateDeployment, event::ReporterOpened, event::ReporterFrame,
                           event::ReporterWindow, event::ReporterGap, event::ReporterClosed,
                           event::SubscriberOpened, event::SubscriberAcked, event::SubscriberClosed,
                           event::SolveDone, event::PlanStored, event::SolveNow, event::SetMode,
                           event::SetFrozen, event::Rollback, event::GetWindow, event::Tick>;

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_EVENT_H_
