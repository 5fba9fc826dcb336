#ifndef ADVISOR_CORE_ENGINE_STATUS_H_
#define ADVISOR_CORE_ENGINE_STATUS_H_

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/engine/event.h"

namespace advisor {

// What the engine knows, as values: for metrics, the status page, AdminService and tests. Field
// meanings are those of the messages in proto/advisor/v1/admin.proto.
enum class ReporterLiveness { kLive, kStale, kGone };

// A domain that the last solve left a reporter's counts and samples out of.
struct LeftOutDomain {
  std::string domain;
  double distance = 0;  // from what most reporters see, 0 .. 1
};

struct ReporterStatus {
  std::string reporter_id, node;
  ReporterLiveness liveness = ReporterLiveness::kLive;
  uint64_t frames = 0, tokens = 0, steps = 0, lost_steps = 0, rejected_blocks = 0,
           duplicate_frames = 0;
  Position applied;
  std::vector<LeftOutDomain> left_out;  // sorted by domain
};

struct SubscriberStatus {
  std::string subscriber_id, node;
  Role role = Role::kObserver;
  bool connected = false;
  Position known;
  std::optional<AckPhase> phase;
  NackReason nack = NackReason::kNone;
  std::string nack_message;
};

struct DomainStatus {
  std::string domain;
  uint64_t window_tokens = 0;
  std::optional<double> prefill_decode_correlation;
  double drift = 0;
  double internode_bytes = 0, baseline_internode_bytes = 0;  // since start; counters
};

struct DecisionRecord {
  DecisionReason reason = DecisionReason::kNone;
  std::string detail;
  absl::Time at;
  Position position;
};

// Counters since the daemon started.
struct DeploymentCounters {
  uint64_t frames_applied = 0, frames_duplicate = 0, frames_gap = 0, key_frames = 0,
           windows_replayed = 0;
  uint64_t steps = 0, lost_steps = 0, tokens = 0, domain_overflows = 0;
  std::map<RejectReason, uint64_t> rejected_blocks;
  std::map<DecisionReason, uint64_t> decisions;
  std::map<AckPhase, uint64_t> acks;
  std::map<NackReason, uint64_t> nacks;
  uint64_t solves_started = 0, solves_done = 0, solves_failed = 0, solves_stale = 0;
  uint64_t plans_published = 0, slots_moved = 0, bytes_moved = 0, rollouts_committed = 0,
           rollouts_aborted = 0;
  uint64_t slow_subscribers = 0;
};

struct DeploymentStatus {
  Deployment deployment;  // mode as it is now
  bool frozen = false;
  Position position, grouping, in_force;
  double coverage = 0;
  std::vector<ReporterStatus> reporters;
  std::vector<SubscriberStatus> subscribers;
  std::vector<DomainStatus> domains;  // sorted by name
  std::optional<double> predicted_saving, measured_saving;
  std::deque<DecisionRecord> decisions;  // newest first, at most 64
  std::vector<PlanRecord> plans;         // newest first
  bool solving = false;
  uint64_t window_tokens = 0, window_bytes = 0;
  DeploymentCounters counters;
};

struct EngineStatus {
  uint64_t epoch = 0;
  std::vector<DeploymentStatus> deployments;  // sorted by name
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_STATUS_H_
