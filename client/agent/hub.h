#ifndef ADVISOR_CLIENT_AGENT_HUB_H_
#define ADVISOR_CLIENT_AGENT_HUB_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/agent/plan_session.h"
#include "client/agent/report_session.h"
#include "client/agent/step.h"
#include "client/agent/watch.h"

namespace advisor::client {

// What an engine is told first.
struct DeploymentInfo {
  bool known = false;  // model and topology are
  int node_index = 0;
  ModelSpec model;
  Topology topology;
};

struct AgentStatus {
  bool reporting = false, subscribed = false;
  uint64_t steps = 0, tokens = 0, lost_steps = 0, frames = 0, rejected_blocks = 0,
           refused_steps = 0;
  Position in_force, staging;
  int watchers = 0;
};

// Hears that a watching engine may have something new to read.
class PlanListener {
 public:
  virtual ~PlanListener() = default;
  virtual void OnPlanChange() = 0;
  // The agent stops: finish.
  virtual void OnStop() = 0;
};

// Where intake, report stream and plan stream of one agent meet: the two sessions, each under its
// own lock, and who is to be woken. Never calls out under a lock. One thread writes the plan file,
// always the newest plan there is, so that a disk that hangs holds up neither counting nor the
// streams: RECEIVED is said at once, and what says more once the plan would survive a restart.
// Engines do not wait for the disk either, or its node would be the last of its group to switch.
// Thread-safe.
class Hub {
 public:
  using StorePlan = std::function<absl::Status(const Plan&)>;
  Hub(ReporterIdentity identity, PlanSessionOptions options,
      std::function<Incarnation()> new_incarnation, StorePlan store);
  ~Hub();  // finishes what is being written

  // Before anything else: the plan file of the last run.
  absl::Status Restore(Plan plan);

  // Intake side.
  absl::Status Record(const Step& step);
  // See ReportSession::SetLostSteps.
  void SetLostSteps(uint64_t client, uint64_t lost_steps, uint64_t acked);
  absl::Status Confirm(const PlanAck& ack);
  DeploymentInfo Info() const;
  std::optional<Watch::Message> NextFor(Watch* watch);
  void AddListener(std::shared_ptr<PlanListener> listener);
  void RemoveListener(const PlanListener* listener);

  // Report stream.
  ReporterHello ReportHello();
  absl::Status OnHelloAck(const HelloAck& ack);
  void OnFrameAck(const FrameAck& ack);
  void OnReportEnd();
  // Blocks until there is something to send (returned), or: `interrupted` holds, no HelloAck came
  // by `hello_deadline`, or Stop() (nullopt). After Stop() it returns what is left to send without
  // waiting for intervals, then nullopt.
  std::optional<ReportSession::Message> WaitReport(absl::Time hello_deadline,
                                                   const std::function<bool()>& interrupted);
  // Wakes WaitReport() and WaitAcks() to look at `interrupted` again.
  void Interrupt();

  // Plan stream.
  SubscriberHello PlanHello();
  void OnPlacement(Position position, Position base,
                   const std::function<absl::StatusOr<Plan>(const Plan* base)>& decode,
                   PlacementMode mode);
  void OnGrouping(Position position, absl::StatusOr<Grouping> grouping, Position needs);
  void OnDecision(const RolloutDecision& decision);
  void OnUpToDate(Position placement);
  void OnSubscribed();  // the daemon has answered
  void OnPlanEnd();
  struct PlanOutput {
    std::vector<PlanAck> acks;
    bool subscribe_anew = false;
  };
  // Blocks until there are acknowledgements, `deadline` passes, `interrupted` holds or Stop().
  PlanOutput WaitAcks(absl::Time deadline, const std::function<bool()>& interrupted);

  void Stop();
  bool stopping() const;
  void WaitStop(absl::Time deadline);  // until Stop() or the deadline
  AgentStatus Status() const;

 private:
  // Hands over what is to be stored and queues acknowledgements. Needs plan_mutex_.
  void CarryOut(PlanEffects effects);
  void QueueAck(PlanAck ack, std::deque<PlanAck>* queue);
  // The writer's thread.
  void WritePlans();
  // The newest plan has been written, or not. Needs plan_mutex_.
  void OnWritten(const Plan& plan, const absl::Status& status);
  // Tells everyone after a change of the plan session; needs no lock held.
  void AnnouncePlans();
  std::vector<std::shared_ptr<PlanListener>> Listeners() const;

  const StorePlan store_;

  mutable std::mutex report_mutex_;
  std::condition_variable report_change_;
  ReportSession report_;
  Position last_applied_;
  uint64_t refused_steps_ = 0;

  mutable std::mutex plan_mutex_;
  std::condition_variable plan_change_;
  PlanSession plans_;
  std::deque<PlanAck> acks_;
  bool subscribe_anew_ = false, subscribed_ = false;
  std::vector<std::shared_ptr<PlanListener>> listeners_;
  std::condition_variable write_change_;
  std::shared_ptr<const Plan> unwritten_;  // to be written next; a newer one replaces it
  std::deque<PlanAck> unwritten_acks_;     // wait for it, and for the one being written
  bool writing_ = false, destroyed_ = false;

  // Read under either lock, set under both.
  bool stopping_ = false;
  absl::Time flush_until_ = absl::InfinitePast();

  std::thread writer_;  // last: it uses the rest
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_HUB_H_
