#ifndef ADVISOR_TESTS_SIM_WORLD_H_
#define ADVISOR_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "tests/support/fake_agent.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_subscriber.h"

namespace advisor::testing {

// One deployment with its daemon, agents, routers, operator and network, all driven by one seed:
// the same seed plays the same history. Time passes in ticks of 100 ms.
//
// Held to throughout: positions never fall at a receiver; nothing is sent that is not durable, and
// a position is used once (FakeDaemon); engines run only what was committed, and a placement is
// committed only when an actor of every node has staged it; quarantined content is not published;
// a step is counted at most once. Held to once all is calm: every step is counted, lost steps are
// those the agents stated, and everybody runs and knows the same placement.
class World {
 public:
  explicit World(uint64_t seed);

  // Faults of all kinds for `ticks` ticks, then calm.
  void Run(int ticks);
  // What happened, for the test to see that it was something.
  struct Seen {
    int published = 0, committed = 0, aborted = 0, daemon_restarts = 0, key_frames = 0, windows = 0,
        duplicates = 0, quarantined = 0, failed_writes = 0;
  };
  const Seen& seen() const { return seen_; }
  // Every line the daemon logged, with the numbers behind its decisions.
  std::vector<std::string> Log();

 private:
  static constexpr int kNodes = 3;

  struct Host {                              // an agent with its engine, or a router
    std::unique_ptr<FakeReporter> reporter;  // null: a router
    std::unique_ptr<FakeSubscriber> subscriber;
    uint64_t incarnation = 1;
    bool reporting = false, subscribed = false;
    StreamId reports, plans;
    size_t reports_read = 0, plans_read = 0;
    std::deque<Event> outgoing;                      // on both streams, in order
    std::optional<Event> late;                       // a frame that comes a second time
    int reconnect_reports = 0, reconnect_plans = 0;  // ticks to wait
    // Steps that the present daemon process may count, of incarnations that have ended.
    uint64_t ended_steps = 0;
    uint64_t counted_before = 0;  // steps counted when the present incarnation sent its window
    bool cut_short =
        false;  // an agent process ended in this daemon's life: its last frames are lost
    std::shared_ptr<const Plan> ran;  // in the last tick
    // Contents whose refusal the daemon has heard, and the first message after that on this stream.
    std::map<uint64_t, size_t> refused;
  };

  absl::StatusOr<Plan> Solve(const effect::StartSolve& solve);
  void Tick(bool calm);
  void BreakThings();
  void Operate();
  void RestartDaemon();
  void RestartAgent(Host* host);
  void CutStreams(Host* host);
  void CountSteps(Host* host, bool calm);
  void Reconnect(Host* host, bool calm);
  void SendReports(Host* host, bool calm);
  void ReadReports(Host* host);
  void ReadPlans(Host* host, bool calm);
  void Deliver(Host* host, bool calm);
  void NoticeEnds(Host* host);
  void NoteRefusal(Host* host, const Event& event);
  void OnWrite(const PlanRecord& record);
  void OnKeep(const PlanRecord& record);
  uint64_t CountedSteps(const std::string& reporter_id) const;
  void CheckEngines();
  void CheckCounts(bool calm);
  void CheckAgreement();
  bool Chance(uint32_t one_in) { return rng_.Below(one_in) == 0; }

  Rng rng_;
  Deployment deployment_;
  DeploymentOptions options_;
  FakeDaemon daemon_;
  std::map<std::string, Host> hosts_;
  std::map<Position, std::set<std::string>> staged_;  // nodes whose actor said STAGED
  std::set<Position> committed_;
  int taste_ = 0, ticks_ = 0;
  uint64_t next_command_ = 1;
  Seen seen_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SIM_WORLD_H_
