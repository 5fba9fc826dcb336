#ifndef ADVISOR_CLIENT_AGENT_WATCH_H_
#define ADVISOR_CLIENT_AGENT_WATCH_H_

#include <optional>
#include <variant>

#include "client/agent/plan_session.h"
#include "core/session/messages.h"

namespace advisor::client {

// What one watching engine has been told, and what it must hear next.
//
// Level-triggered: the next message follows from the session's state and what was sent before, so
// that a slow engine costs no queue, misses intermediate plans and always hears the latest.
class Watch {
 public:
  using Message = std::variant<PlacementUpdate, GroupingUpdate, RolloutDecision>;

  // `have`: placement that the engine runs; {0, 0}: none.
  explicit Watch(Position have) : in_force_(have) {}

  // The next message, which counts as sent; nullopt: the engine knows everything.
  std::optional<Message> Next(const PlanSession& session);

 private:
  Position in_force_;  // told to run
  Position staging_;   // told to prepare, not decided yet
  Position advisory_;
  Position grouping_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_WATCH_H_
