#ifndef ADVISOR_TESTS_SUPPORT_HISTORY_H_
#define ADVISOR_TESTS_SUPPORT_HISTORY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/engine/event.h"
#include "core/session/messages.h"

namespace advisor::testing {

// What was seen from outside of the daemon, in the order it happened: by the store, by every
// client, by the operator of the simulation. tests/support/properties.h judges it.
namespace seen {

struct WriteAsked {  // of a plan, by the engine
  PlanRecord record;
};
struct Durable {  // the record survives a crash from here on
  PlanRecord record;
};
struct StateDurable {
  DeploymentState state;
};
struct GroupingUsed {  // requests are assigned by it
  Position placement;
};
struct Sent {  // by the engine; whether it arrives is another matter
  SubscriberMessage message;
};
struct Acked {  // the daemon heard a client of this node
  std::string node;
  PlanAck ack;
};
struct Read {  // a client took a message from its stream
  std::string client;
  SubscriberMessage message;
  bool refused = false;  // and will not keep what is in it
};
struct Runs {  // a client's engine has switched
  std::string client;
  std::shared_ptr<const Plan> plan;
};
// What the daemon says it counted of one reporter beside what that reporter did, both since the
// daemon's process began.
struct Counted {
  std::string reporter;
  uint64_t steps = 0, steps_made = 0;
  uint64_t lost_steps = 0, lost_steps_stated = 0;
  uint64_t rejected_blocks = 0;
  bool settled = false;  // nothing is under way and no process ended: both sides must be equal
};

}  // namespace seen

using Seen = std::variant<seen::WriteAsked, seen::Durable, seen::StateDurable, seen::GroupingUsed,
                          seen::Sent, seen::Acked, seen::Read, seen::Runs, seen::Counted>;
using History = std::vector<Seen>;

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_HISTORY_H_
