#ifndef ADVISOR_CORE_ENGINE_AUDIENCE_H_
#define ADVISOR_CORE_ENGINE_AUDIENCE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/journal.h"
#include "core/engine/options.h"
#include "core/engine/plan_history.h"
#include "core/model/deployment.h"
#include "core/session/awake.h"
#include "core/session/subscriber_session.h"

namespace advisor {

// The subscribers of one deployment: who is there, and how to speak to them. What they are told is
// the publisher's business.
class Audience {
 public:
  // The references must outlive it.
  Audience(const Deployment& deployment, const DeploymentOptions& options,
           const PlanHistory& history, Journal& journal)
      : deployment_(deployment), options_(options), history_(history), journal_(journal) {}

  // The session that took the stream; null: refused, and the stream is ended.
  SubscriberSession* Open(StreamId stream, const SubscriberHello& hello, Turn& turn);
  // The session that left; null: the stream is not known.
  SubscriberSession* Close(StreamId stream, absl::Time now);
  SubscriberSession* Find(StreamId stream);
  SubscriberSession* Find(const std::string& subscriber_id);
  // Those with a stream, by id.
  std::vector<SubscriberSession*> Connected();

  // `full`: not as a delta, even if a common base is known.
  void SendPlacement(SubscriberSession* session, const PlanRecord& record, PlacementMode mode,
                     bool full, Turn& turn);
  void SendGrouping(SubscriberSession* session, const PlanRecord& record, Turn& turn);
  void SendDecision(SubscriberSession* session, Position position, bool commit,
                    const std::string& reason, Turn& turn);
  void Send(SubscriberSession* session, SubscriberMessage message, Turn& turn);
  // Ends the stream; the session stays known.
  void End(SubscriberSession* session, absl::Status status, Turn& turn);

  // Ends who does not acknowledge; forgets who left long ago.
  void Tick(Turn& turn);
  // Ends the actors of nodes that left.
  void TopologyChanged(Turn& turn);

  void FillStatus(DeploymentStatus* status) const;

 private:
  static constexpr size_t kMaxSubscribers = 16384;
  static constexpr absl::Duration kForgetAfter = absl::Minutes(10);
  static constexpr uint64_t kLastEpoch = uint64_t{1} << 62;  // positions beyond it are nonsense

  static constexpr Features kOffered = {.samples = false, .delta_placement = true};

  absl::Status Admit(const SubscriberHello& hello) const;
  // An actor that names a node must name one of the topology. Several may name the same one: which
  // of them is right cannot be told here, so all of them count (Rollout).
  bool KnowsNodeOf(Role role, const std::string& node) const;
  std::shared_ptr<const Plan> DeltaBase(const SubscriberSession& session,
                                        const PlanRecord& record) const;

  const Deployment& deployment_;
  const DeploymentOptions& options_;
  const PlanHistory& history_;
  Journal& journal_;
  std::map<std::string, SubscriberSession> sessions_;
  std::map<StreamId, std::string> streams_;
  Awake awake_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_AUDIENCE_H_
