#ifndef ADVISOR_CLIENT_AGENT_PLAN_SESSION_H_
#define ADVISOR_CLIENT_AGENT_PLAN_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/model/plan.h"
#include "core/session/messages.h"

namespace advisor::client {

struct PlanSessionOptions {
  std::string deployment;
  std::string subscriber_id;
  std::string node;
  ApplyAbility ability = ApplyAbility::kHotSwap;
  // True: STAGED and APPLIED are told to the daemon when all engines of the node have said so.
  // False: engines only read the plan file or watch, and handing over is acknowledged at once.
  bool wait_for_engines = false;
  int engines = 1;  // that must confirm, with wait_for_engines
};

// What to do after an event, in this order.
struct PlanEffects {
  // Write as the plan in force; if that fails, OnStoreFailed() replaces `acks`.
  std::shared_ptr<const Plan> store;
  std::vector<PlanAck> acks;    // to the daemon
  bool subscribe_anew = false;  // end the stream and subscribe without a position
};

// The agent's half of the plan protocol, without transport, file or clock: what is in force, what
// is being staged, what was acknowledged. Positions only grow. Not thread-safe.
class PlanSession {
 public:
  PlanSession(PlanSessionOptions options, Incarnation incarnation);

  // The plan file of the last run, in force until something newer comes.
  void Restore(Plan plan);

  SubscriberHello Hello() const;
  // A decoded placement, or why it could not be decoded (codes as of FromProto in
  // proto/convert/plan.h).
  PlanEffects OnPlacement(Position position, absl::StatusOr<Plan> plan, PlacementMode mode);
  PlanEffects OnGrouping(Position position, absl::StatusOr<Grouping> grouping,
                         Position needs_placement);
  PlanEffects OnDecision(const RolloutDecision& decision);
  // The daemon says that `placement` is the latest.
  PlanEffects OnUpToDate(Position placement);
  PlanEffects OnStoreFailed(const Plan& plan, const std::string& why);

  // What an engine did. INVALID_ARGUMENT: a position that is neither staged nor in force.
  absl::StatusOr<PlanEffects> OnEngineAck(const PlanAck& ack);
  // An engine reports steps under `applied`: how RESTART_ONLY engines show that they took a plan.
  PlanEffects OnEngineRuns(Position applied, uint64_t step);

  // What engines are told. Null: nothing.
  const std::shared_ptr<const Plan>& in_force() const { return in_force_; }
  const std::shared_ptr<const Plan>& staging() const { return staging_; }
  const std::shared_ptr<const Plan>& advisory() const { return advisory_; }
  const std::shared_ptr<const Plan>& grouping() const {
    return grouping_;
  }  // the plan that carries it
  Position grouping_position() const { return grouping_position_; }
  Position grouping_needs() const { return grouping_needs_; }

  // The plan that a delta against `base` applies to, or null.
  const Plan* Base(Position base) const;

 private:
  PlanAck MakeAck(AckSubject subject, Position position, AckPhase phase) const;
  PlanAck MakeNack(AckSubject subject, Position position, NackReason reason,
                   const std::string& message) const;
  void Stage(std::shared_ptr<const Plan> plan, PlanEffects* effects);
  void PutInForce(std::shared_ptr<const Plan> plan, PlanEffects* effects);
  void Applied(uint64_t step, PlanEffects* effects);
  void ReleaseGrouping(PlanEffects* effects);

  PlanSessionOptions options_;
  Incarnation incarnation_;
  bool forget_position_ = false;          // Hello() says that nothing is held
  std::shared_ptr<const Plan> in_force_;  // committed; with the grouping in use
  std::shared_ptr<const Plan> staging_;   // PREPAREd, no decision yet
  std::shared_ptr<const Plan> advisory_;  // newest of those engines must not act on
  bool applied_ = false;                  // in_force_ runs in every engine
  uint64_t applied_step_ = 0;
  int staged_engines_ = 0, applied_engines_ = 0;

  std::shared_ptr<const Plan> grouping_;  // only its `grouping` counts
  Position grouping_position_, grouping_needs_;
  bool grouping_waits_ = false;  // for grouping_needs_ to be applied
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_PLAN_SESSION_H_
