#ifndef ADVISOR_CORE_SESSION_ERRORS_H_
#define ADVISOR_CORE_SESSION_ERRORS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/model/plan.h"
#include "core/session/messages.h"

namespace advisor::error {

// The statuses that end streams; the capital words are stable and named in the protos.
absl::Status NoSuchDeployment(const std::string& deployment);
// `offered`: in words, what such peers may require and when.
absl::Status FeatureNotOffered(const std::string& peer, const std::string& offered);
absl::Status ModelMismatch(const std::string& peer, uint64_t got, const ModelSpec& want);
absl::Status NodeNotInTopology(const std::string& peer, const std::string& node);
absl::Status StaleIncarnation(const std::string& peer);
absl::Status NewerIncarnation(const std::string& peer);
absl::Status Superseded(const std::string& peer);
absl::Status BadSequence(const std::string& reporter, const Frame& frame);
absl::Status UnknownKeyBase(const std::string& reporter, uint64_t got, uint64_t want);
absl::Status WindowNotWanted(const std::string& reporter);
absl::Status UnknownPosition(const std::string& subscriber, const Position& position);
// `what` and `position` were sent `age` ago.
absl::Status SlowConsumer(const std::string& subscriber, const std::string& what,
                          const Position& position, absl::Duration age, absl::Duration limit);
absl::Status TopologyChanged(const std::string& peer);

}  // namespace advisor::error

namespace advisor {
// "(2, 7)", as positions are shown everywhere.
std::string ToString(const Position& position);
}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_ERRORS_H_
