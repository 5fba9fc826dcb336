#ifndef ADVISOR_CORE_ENGINE_PUBLISHER_H_
#define ADVISOR_CORE_ENGINE_PUBLISHER_H_

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/engine/audience.h"
#include "core/engine/journal.h"
#include "core/engine/options.h"
#include "core/engine/plan_history.h"
#include "core/model/deployment.h"
#include "core/policy/solve_trigger.h"
#include "core/session/rollout.h"

namespace advisor {

// The plans of one deployment on their way out: numbered, made durable, sent, acknowledged, brought
// into force.
//
// Order of every change: StorePlan, PlanStored, and only then anybody hears of it; one write is
// under way at a time. A position is used once, even if its write failed. Who is sent what:
//   active:   actors PREPARE, COMMIT, and the placement in force when they join late; observers the
//             placement in force.
//   advisory: everybody the latest placement as advice; actors of a group that already runs a
//             committed placement that one.
// A grouping goes out, and is used, once the placement that it needs is committed. After a restart
// a placement that was not committed counts as aborted.
class Publisher {
 public:
  // The references must outlive it. The mode is deployment.mode at any time.
  Publisher(const Deployment& deployment, const DeploymentOptions& options, Journal& journal,
            uint64_t epoch, const StoredDeployment& stored);

  // What else the store held, newest last; all older than what the constructor was given.
  void AddOlder(std::vector<PlanRecord> records);

  // Hands out what was restored.
  void Start(Turn& turn) { UseGroupingInForce(turn); }

  // Publishes `plan` as the next revision; not while busy(). `advice`: engines are not to act on
  // it, whatever the mode. `command` is answered at the end.
  void Publish(Plan plan, Verdict verdict, bool advice, std::optional<CommandId> command,
               Turn& turn);
  void Stored(const event::PlanStored& stored, Turn& turn);
  // A write is under way.
  bool busy() const { return write_.has_value(); }
  // Actors are staging or switching.
  bool rollout_running() const { return rollout_.has_value() && rollout_->Running(); }

  void Open(StreamId stream, const SubscriberHello& hello, Turn& turn);
  void Acked(StreamId stream, const PlanAck& ack, Turn& turn);
  void Closed(StreamId stream, absl::Time now);
  void Tick(Turn& turn);

  // deployment.topology has changed.
  void TopologyChanged(Turn& turn);
  const Aborts& aborts() const { return aborts_; }
  // An operator wants another try.
  void ForgetAborts() { aborts_ = {}; }
  // What everything can fall back to: the linear placement.
  Plan Fallback() const;
  // This content is not published again; not so the fallback's, or there would be nothing left.
  void Quarantine(uint64_t content_hash, Turn& turn);
  bool quarantined(uint64_t content_hash) const;
  size_t quarantined_count() const { return quarantined_.size(); }
  void SetFrozen(bool frozen, Turn& turn);
  void SetMeasuredSaving(const Position& position, double saving) {
    history_.SetMeasuredSaving(position, saving);
  }
  // deployment.mode has changed.
  void ModeChanged(Turn& turn);
  // A peer shows a position that this daemon did not publish. What is published from now on is
  // greater.
  void JumpAbove(const Position& shown, Turn& turn);

  // What a new plan is compared with and repaired from: what engines act on, the placement in
  // force, or, where the new plan would be advice, the latest advice. Null: the engines' initial
  // placement.
  const PlanRecord* Reference(bool advice) const;
  const PlanHistory& history() const { return history_; }
  Position latest() const;    // {0, 0}: none
  Position in_force() const;  // {0, 0}: none
  uint64_t epoch() const { return epoch_; }
  bool frozen() const { return frozen_; }
  // An engine gave up the placement in force; cleared by the call.
  bool TakeGivenUp() { return std::exchange(given_up_, false); }
  // The greatest placement that a subscriber said it holds.
  const Position& shown() const { return shown_; }
  // When engines or readers last had to take a new placement.
  std::optional<absl::Time> last_placement() const { return last_placement_; }

  void FillStatus(DeploymentStatus* status) const;

 private:
  static constexpr int kAbortTries = 3;
  static constexpr size_t kKeptQuarantined = 256;

  struct Write {
    PlanRecord record;
    bool commit = false;  // of a placement that all actors staged; else a publication
    bool advice = false;
    Verdict verdict;
    std::optional<CommandId> command;
    bool failed = false;  // to be tried again
    absl::Time since;
  };
  struct Target {
    const PlanRecord* record = nullptr;
    PlacementMode mode = PlacementMode::kAdvisory;
  };
  struct Aborted {
    Position position;
    std::string reason;
    std::set<std::string> actors;  // that have not answered
    int tries = 0;
    absl::Time last_sent;
  };

  bool active() const { return deployment_.mode == Mode::kActive; }
  Grouping GroupingByLoad() const;
  Position NextGrouping(const Plan& plan);
  void StartWrite(Write write, Turn& turn);
  void Published(const Write& write, Turn& turn);
  void PublicationFailed(const Write& write, const absl::Status& status, Turn& turn);
  void Committed(const PlanRecord& record, Turn& turn);
  void StoreState(Turn& turn);
  void UseGroupingInForce(Turn& turn);

  Target TargetOf(const SubscriberSession& session) const;
  // True: something was sent.
  bool Offer(SubscriberSession* session, Turn& turn);
  bool OfferGrouping(SubscriberSession* session, Turn& turn);
  bool AskToStage(SubscriberSession* session, Turn& turn);
  void OfferAll(Turn& turn);
  // Actors whose stream was ended no longer take part in the rollout.
  void DropDisconnected();

  void PlacementAcked(SubscriberSession* session, const PlanAck& ack,
                      const SubscriberSession::AckResult& result, Turn& turn);
  void Refused(SubscriberSession* session, const PlanAck& ack, uint64_t hash, Turn& turn);
  void RolledBack(SubscriberSession* session, const PlanAck& ack, uint64_t hash, Turn& turn);
  void TryCommit(Turn& turn);
  // Engines are no longer to act on what is not in force yet.
  void Abort(const std::string& reason, Turn& turn);
  // To the actors that have staged what is committed.
  void SendCommit(const std::string& reason, Turn& turn);
  void TickRollout(Turn& turn);
  void TickAborted(Turn& turn);

  const Deployment& deployment_;
  const DeploymentOptions& options_;
  Journal& journal_;
  uint64_t epoch_, revision_ = 0, grouping_revision_ = 0;
  PlanHistory history_;
  Audience audience_;
  bool frozen_ = false;
  std::deque<uint64_t> quarantined_;
  std::optional<Write> write_;
  std::optional<Rollout> rollout_;
  std::optional<Aborted> aborted_;
  Aborts aborts_;
  absl::Time commit_sent_;
  std::optional<absl::Time> last_placement_;
  Position maybe_staged_;  // actors may hold it staged, and are to drop it; {0, 0}: nothing
  Position shown_;
  bool given_up_ = false;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_PUBLISHER_H_
