#ifndef ADVISOR_CORE_ENGINE_EFFECT_H_
#define ADVISOR_CORE_ENGINE_EFFECT_H_

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/engine/event.h"

namespace advisor::effect {

struct SendReporter {
  StreamId stream;
  std::variant<HelloAck, FrameAck> message;
};
// The server keeps at most one message in flight per stream and one waiting per kind; a newer one
// replaces a waiting one.
struct SendSubscriber {
  StreamId stream;
  SubscriberMessage message;
};
// Ends a stream, reporter's or subscriber's, with this status. Its *Closed event still follows.
struct EndStream {
  StreamId stream;
  absl::Status status;
};

// Runs SolvePlan() on another thread; answered by event::SolveDone with the same ticket.
struct StartSolve {
  std::string deployment;
  SolveTicket ticket;
  std::shared_ptr<const Problem> problem;
  std::shared_ptr<const Traffic> holdout;
  std::shared_ptr<const Plan> previous;  // may be null
  SolveParams params;
  absl::Duration time_limit;
};
struct CancelSolve {
  SolveTicket ticket;
};

// Write durably, then answer with event::PlanStored. Nothing of the record is visible before.
struct StorePlan {
  std::string deployment;
  PlanRecord record;
};
// Write durably; no answer.
struct StoreState {
  std::string deployment;
  DeploymentState state;
};

// The plan that requests are assigned by from now on.
struct UseGrouping {
  std::string deployment;
  std::shared_ptr<const Plan> plan;
  Position grouping;
};

struct CommandDone {
  CommandId id;
  absl::Status status;  // not OK: refused, the rest is unset
  DecisionReason reason = DecisionReason::kNone;
  std::string detail;
  Position position;                                // published, or {0, 0}
  std::shared_ptr<const Traffic> window = nullptr;  // only after event::GetWindow
};

// One line for the log, at operator level (adoption, refusal, quarantine, loss of coverage ...).
struct Log {
  bool warning = false;
  std::string deployment;
  std::string text;
};

}  // namespace advisor::effect

namespace advisor {
using Effect =
    std::variant<effect::SendReporter, effect::SendSubscriber, effect::EndStream,
                 effect::StartSolve, effect::CancelSolve, effect::StorePlan, effect::StoreState,
                 effect::UseGrouping, effect::CommandDone, effect::Log>;
using Effects = std::vector<Effect>;
}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_EFFECT_H_
