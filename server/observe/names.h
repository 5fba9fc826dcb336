#ifndef ADVISOR_SERVER_OBSERVE_NAMES_H_
#define ADVISOR_SERVER_OBSERVE_NAMES_H_

#include "core/policy/reason.h"
#include "core/session/messages.h"

namespace advisor::server {

// Lower-case names of enums, as in metrics and JSON.
inline const char* NameOf(RejectReason reason) { return ToString(reason); }
const char* NameOf(AckPhase phase);     // "rolled_back"
const char* NameOf(NackReason reason);  // "hash_mismatch"
inline const char* NameOf(DecisionReason reason) { return ToString(reason); }

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_NAMES_H_
