#include "server/observe/names.h"

namespace advisor::server {

const char* NameOf(AckPhase phase) {
  switch (phase) {
    case AckPhase::kReceived:
      return "received";
    case AckPhase::kStaged:
      return "staged";
    case AckPhase::kApplied:
      return "applied";
    case AckPhase::kNack:
      return "nack";
    case AckPhase::kRolledBack:
      return "rolled_back";
    case AckPhase::kDeferred:
      return "deferred";
  }
  return "unknown";
}

const char* NameOf(NackReason reason) {
  switch (reason) {
    case NackReason::kNone:
      return "none";
    case NackReason::kDecode:
      return "decode";
    case NackReason::kHashMismatch:
      return "hash_mismatch";
    case NackReason::kModelMismatch:
      return "model_mismatch";
    case NackReason::kInvalid:
      return "invalid";
    case NackReason::kOutOfMemory:
      return "out_of_memory";
    case NackReason::kEngineRefused:
      return "engine_refused";
    case NackReason::kTimeout:
      return "timeout";
  }
  return "unknown";
}

}  // namespace advisor::server
