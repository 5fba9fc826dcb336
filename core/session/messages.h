#ifndef ADVISOR_CORE_SESSION_MESSAGES_H_
#define ADVISOR_CORE_SESSION_MESSAGES_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/strong_id.h"
#include "core/model/phase.h"
#include "core/model/plan.h"
#include "core/session/features.h"
#include "core/window/report.h"

namespace advisor {

// The messages of the report and plan protocols as values. Meaning, limits and units of every field
// are those of the proto message of the same name (proto/advisor/v1/report.proto, plan.proto);
// conversion checks shapes that need no state.

// One gRPC stream of this daemon process, never reused.
using StreamId = StrongId<struct StreamTag, uint64_t>;

// 128 random bits per process start of a peer.
struct Incarnation {
  uint64_t high = 0, low = 0;
  friend auto operator<=>(const Incarnation&, const Incarnation&) = default;
};

struct ReporterHello {
  std::string deployment;
  std::string reporter_id;
  Incarnation incarnation;
  uint64_t model_fingerprint = 0;
  std::string node;
  uint64_t next_seq = 1;
  Features features = {}, required = {};
};

struct Frame {
  uint64_t seq_first = 0, seq_last = 0;
  uint64_t steps = 0;  // of a key frame: since key_base_seq, as its blocks
  uint64_t last_step = 0;
  uint64_t lost_steps = 0;
  Position applied;
  uint64_t applied_hash = 0;
  std::vector<ReportBlock> blocks;
  std::vector<SampledRequest> samples;
  bool key_frame = false;
  uint64_t key_base_seq = 0;
};

struct WindowReplay {
  uint64_t through_seq = 0;
  std::vector<Frame> buckets;  // oldest first
};

struct HelloAck {
  uint64_t session_id = 0;
  uint64_t epoch = 0;
  ModelSpec model;
  Topology topology;
  uint64_t resume_after_seq = 0;
  bool want_key_frame = false;
  bool want_window = false;
  uint32_t min_interval_ms = 0, max_interval_ms = 0;
  uint32_t credits = 0;
  uint32_t max_frame_bytes = 0;
  uint32_t key_frame_every = 0;
  uint32_t sample_tokens = 0;
  uint32_t window_buckets = 0;
  uint64_t bucket_tokens = 0, bucket_steps = 0;
  Features features = {};  // agreed
};

struct BlockReject {
  uint64_t seq = 0;
  std::string domain;
  Phase phase = Phase::kDecode;
  uint32_t layer = 0;
  RejectReason reason = RejectReason::kShape;
  std::string message;
  uint64_t tokens = 0;
};

struct FrameAck {
  uint64_t acked_seq = 0;
  uint32_t credits = 0;
  std::vector<BlockReject> rejects;
  uint64_t rejected_blocks = 0;
  bool want_key_frame = false;
};

enum class Role { kObserver, kActor };
enum class ApplyAbility { kHotSwap, kRestartOnly };

struct SubscriberHello {
  std::string deployment;
  std::string subscriber_id;
  Incarnation incarnation;
  uint64_t model_fingerprint = 0;
  Role role = Role::kObserver;
  ApplyAbility ability = ApplyAbility::kHotSwap;
  std::string node;
  Features features = {}, required = {};
  Position placement, grouping;
  uint64_t placement_hash = 0, grouping_hash = 0;
};

enum class AckSubject { kPlacement = 1, kGrouping };
enum class AckPhase { kReceived = 1, kStaged, kApplied, kNack, kRolledBack, kDeferred };
enum class NackReason {
  kNone = 0,
  kDecode,
  kHashMismatch,
  kModelMismatch,
  kInvalid,
  kOutOfMemory,
  kEngineRefused,
  kTimeout
};

struct PlanAck {
  AckSubject subject = AckSubject::kPlacement;
  Position position;
  AckPhase phase = AckPhase::kReceived;
  uint64_t step = 0;
  NackReason nack = NackReason::kNone;
  std::string nack_message;
};

enum class PlacementMode { kAdvisory = 1, kPrepare, kInForce };

// What the daemon tells a subscriber. Bodies are shared and encoded once per content by the server.
struct UpToDate {
  Position placement, grouping;
};
struct Progress {
  Position placement, grouping;
};
struct PlacementUpdate {
  std::shared_ptr<const Plan> plan;
  std::shared_ptr<const Plan> base;  // delta against this one; null: full
  PlacementMode mode = PlacementMode::kAdvisory;
};
struct GroupingUpdate {
  std::shared_ptr<const Plan> plan;  // whose `grouping` is sent
  Position position;                 // of the grouping
  Position needs_placement;
};
struct RolloutDecision {
  Position position;
  bool commit = false;  // false: abort
  std::string reason;
};
using SubscriberMessage =
    std::variant<UpToDate, Progress, PlacementUpdate, GroupingUpdate, RolloutDecision>;

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_MESSAGES_H_
