#include "core/session/errors.h"

#include "absl/strings/str_format.h"
#include "core/model/model_identity.h"

namespace advisor {

std::string ToString(const Position& position) {
  return absl::StrFormat("(%d, %d)", position.epoch, position.revision);
}

namespace error {

absl::Status NoSuchDeployment(const std::string& deployment) {
  return absl::NotFoundError(
      absl::StrFormat("no deployment \"%s\": check the name, or add its file", deployment));
}

absl::Status ModelMismatch(const std::string& peer, uint64_t got, const ModelSpec& want) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "MODEL_MISMATCH: \"%s\" runs model %016x, the deployment is for %016x (%s): align the "
      "deployment file with the engine",
      peer, got, ModelFingerprint(want), IdentityText(want)));
}

absl::Status FeatureNotOffered(const std::string& peer, const std::string& offered) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "FEATURE_MISSING: \"%s\" requires a feature that it is not offered; %s", peer, offered));
}

absl::Status NodeNotInTopology(const std::string& peer, const std::string& node) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "\"%s\" is on node \"%s\", which the deployment's topology does not have: add it, or correct "
      "the agent's node",
      peer, node));
}

absl::Status StaleIncarnation(const std::string& peer) {
  return absl::AbortedError(absl::StrFormat(
      "STALE_INCARNATION: a newer process of \"%s\" has taken over; stop this one", peer));
}

absl::Status NewerIncarnation(const std::string& peer) {
  return absl::AbortedError(
      absl::StrFormat("STALE_INCARNATION: a newer process of \"%s\" has just taken over", peer));
}

absl::Status Superseded(const std::string& peer) {
  return absl::AbortedError(
      absl::StrFormat("SUPERSEDED: another stream of \"%s\" has been opened", peer));
}

absl::Status BadSequence(const std::string& reporter, const Frame& frame) {
  return absl::InvalidArgumentError(absl::StrFormat(
      "frame.seq_first is %d, seq_last %d: must be 1 or more and rise; reporter \"%s\"",
      frame.seq_first, frame.seq_last, reporter));
}

absl::Status UnknownKeyBase(const std::string& reporter, uint64_t got, uint64_t want) {
  return absl::AbortedError(absl::StrFormat(
      "reporter \"%s\": key frame counts from sequence %d, known is %d: start again with a Hello",
      reporter, got, want));
}

absl::Status WindowNotWanted(const std::string& reporter) {
  return absl::InvalidArgumentError(
      absl::StrFormat("reporter \"%s\": a Window came without HelloAck.want_window", reporter));
}

absl::Status UnknownPosition(const std::string& subscriber, const Position& position) {
  return absl::InvalidArgumentError(
      absl::StrFormat("ack.position is %s, which was never sent to subscriber \"%s\"",
                      ToString(position), subscriber));
}

absl::Status SlowConsumer(const std::string& subscriber, const std::string& what,
                          const Position& position, absl::Duration age, absl::Duration limit) {
  return absl::ResourceExhaustedError(
      absl::StrFormat("SLOW_CONSUMER: subscriber \"%s\" has not acknowledged %s %s, sent %.1f s "
                      "ago, within %.0f s: "
                      "subscribe again",
                      subscriber, what, ToString(position), absl::ToDoubleSeconds(age),
                      absl::ToDoubleSeconds(limit)));
}

absl::Status TopologyChanged(const std::string& peer) {
  return absl::AbortedError(absl::StrFormat(
      "\"%s\": the deployment's topology has changed: start again with a Hello", peer));
}

}  // namespace error
}  // namespace advisor
