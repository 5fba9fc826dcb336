#ifndef ADVISOR_CORE_SESSION_SUBSCRIBER_SESSION_H_
#define ADVISOR_CORE_SESSION_SUBSCRIBER_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/session/incarnations.h"
#include "core/session/messages.h"
#include "core/session/options.h"

namespace advisor {

// What one subscriber was sent and what it said to it: the server's view of one peer of the plan
// protocol, without transport. It answers "may this be sent" and "what does this acknowledgement
// mean"; what is to be sent is the publisher's business. Not thread-safe.
class SubscriberSession {
 public:
  // A plan by identity: position in the sequence, hash of what is in it.
  struct Held {
    Position position;
    uint64_t hash = 0;
  };
  enum class AckMeaning {
    kNothing,
    kStaged,    // or DEFERRED, asked to stage
    kApplied,   // or DEFERRED, told that it is in force: it will run after the engine's next start
    kRefused,   // NACK: the content will not be sent to it again
    kSendFull,  // NACK of what was decoded wrongly: once more, in full
    kRolledBack,
    kEnd,  // acknowledged what was never sent: the stream must end, see AckResult::status
  };
  struct AckResult {
    AckMeaning meaning = AckMeaning::kNothing;
    absl::Status status;
    uint64_t hash = 0;  // of the acknowledged content
  };

  explicit SubscriberSession(std::string id) : id_(std::move(id)) {}

  // ABORTED when a newer process has taken over; nothing has changed then.
  absl::Status Admit(const SubscriberHello& hello) const;
  void Open(StreamId stream, const SubscriberHello& hello, absl::Time now);
  void Close(absl::Time now);

  // Is this content news to it? Never what it refused, never a position at or below what it holds
  // in that mode: advice says nothing about what is in force.
  bool WantsPlacement(const Held& plan, PlacementMode mode) const;
  bool WantsGrouping(const Held& grouping) const;
  bool Refused(uint64_t hash) const;
  // It may be asked again to take what it refused.
  void Forgive(uint64_t hash) { std::erase(refused_, hash); }
  // Notes that it was sent.
  void SentPlacement(const Held& plan, PlacementMode mode, absl::Time now);
  void SentGrouping(const Held& grouping, absl::Time now);
  void SentCommit(const Position& position, absl::Time now) {
    commit_waits_ = position;
    last_sent_ = now;
  }
  void SentOther(absl::Time now) { last_sent_ = now; }

  AckResult Take(const PlanAck& ack);

  struct Late {
    AckSubject subject = AckSubject::kPlacement;
    Position position;
    absl::Duration age;  // since it was sent
  };
  // What was sent and not acknowledged within the time allowed. The time before `awake_since`, when
  // this side stood still and could hear nobody, does not count.
  std::optional<Late> Overdue(const SessionOptions& options, absl::Time now,
                              absl::Time awake_since) const;
  bool ProgressDue(const SessionOptions& options, absl::Time now) const;

  bool IsCurrent(const Incarnation& incarnation) const {
    return incarnations_.Judge(incarnation) == Incarnations::Verdict::kCurrent;
  }
  // Was this position sent on the present stream, or stated in its Hello?
  bool WasSent(AckSubject subject, const Position& position) const;
  // Was this placement sent in this mode on the present stream?
  bool WasSentAs(const Position& placement, PlacementMode mode) const;
  const std::string& id() const { return id_; }
  const std::string& node() const { return node_; }
  Role role() const { return role_; }
  bool actor() const { return role_ == Role::kActor; }
  std::optional<StreamId> stream() const { return stream_; }
  bool accepts_delta() const { return accepts_delta_; }
  // The plan it takes for current: what it runs (actors), or knows (observers).
  const Held& placement() const { return placement_; }
  // Plans that it surely holds when the next message arrives, to build a delta on; best first. None
  // while something is under way that may replace what it holds.
  std::vector<Held> Bases() const;
  const Held& grouping() const { return grouping_; }
  // What it was last asked to stage; {0, 0}: nothing on this stream.
  const Position& prepared() const { return prepared_; }
  const Position& known() const { return known_; }
  std::optional<AckPhase> phase() const { return phase_; }
  NackReason nack() const { return nack_; }
  const std::string& nack_message() const { return nack_message_; }
  absl::Time closed_at() const { return closed_at_; }

 private:
  static constexpr size_t kKeptSent = 64;  // per subject
  static constexpr size_t kKeptRefused = 64;

  struct Sent {
    Held plan;
    PlacementMode mode = PlacementMode::kAdvisory;
    bool acknowledged = false;
    bool resent_in_full = false;
  };
  struct Waiting {
    Position position;
    absl::Time since;
  };

  AckResult TakePlacement(const PlanAck& ack, Sent* sent);
  void Refuse(uint64_t hash);

  std::string id_, node_;
  Role role_ = Role::kObserver;
  ApplyAbility ability_ = ApplyAbility::kHotSwap;
  bool accepts_delta_ = false;
  Incarnations incarnations_;
  std::optional<StreamId> stream_;
  Held placement_, advice_, grouping_;
  Position prepared_;
  std::vector<Sent> sent_placements_, sent_groupings_;  // on this stream, oldest first
  std::optional<Waiting> placement_waits_, grouping_waits_;
  std::optional<Position> commit_waits_;  // told to switch to it, not known to have
  std::vector<uint64_t> refused_;
  Position known_;
  std::optional<AckPhase> phase_;
  NackReason nack_ = NackReason::kNone;
  std::string nack_message_;
  absl::Time last_sent_ = absl::InfinitePast();
  absl::Time closed_at_ = absl::InfinitePast();
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_SUBSCRIBER_SESSION_H_
