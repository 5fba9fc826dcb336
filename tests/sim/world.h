#ifndef ADVISOR_TESTS_SIM_WORLD_H_
#define ADVISOR_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "tests/support/fake_agent.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_subscriber.h"

namespace advisor::testing {

// How often things go wrong: once in so many ticks or messages; 0: never.
struct Faults {
  uint32_t daemon_killed = 120;       // between two events
  uint32_t daemon_killed_inside = 0;  // among the effects of one event
  uint32_t store_fails = 60, store_hangs = 15;
  uint32_t streams_cut = 80, agent_killed = 200, subscriber_stuck = 60;
  uint32_t links_clogged = 0;  // one after another, healed in another order
  uint32_t frame_lost = 12, frame_doubled = 6, window_lost = 10;
  uint32_t decision_lost = 0;  // COMMIT or ABORT
  uint32_t operator_acts = 1;  // 0: no operator
};

// One deployment with its daemon, agents, routers, operator and network, all driven by one seed:
// the same seed plays the same history. Time passes in ticks of 100 ms.
//
// What everybody saw is recorded and judged by tests/support/properties.h. Beside that: refused
// content does not come again (but the fallback's), and once all is calm every step is counted and
// everybody runs and knows the same placement.
class World {
 public:
  using Step = std::function<Effects(Engine&, Event, absl::Time)>;

  // `step`: the engine, or a planted bug around it.
  World(uint64_t seed, const Faults& faults, Step step = nullptr);

  // Faults for `ticks` ticks, then calm.
  void Run(int ticks);
  // All links are cut for `ticks` ticks.
  void Partition(int ticks);
  // Everything works again, and long enough for every timeout to pass; then all must agree.
  void Settle();
  // Every promise that was broken, in words.
  std::vector<std::string> Violations() const;
  // What happened, for the test to see that it was something.
  struct Seen {
    int published = 0, committed = 0, aborted = 0, daemon_restarts = 0, key_frames = 0, windows = 0,
        duplicates = 0, quarantined = 0, failed_writes = 0, clogs = 0;
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
    bool reporting = false, subscribed = false, clogged = false;
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
    // Contents whose refusal the daemon has heard, and the first message after that on this stream.
    std::map<uint64_t, size_t> refused;
  };

  absl::StatusOr<Plan> Solve(const effect::StartSolve& solve);
  void Tick(bool calm);
  void BreakThings();
  void Operate();
  void Swizzle();
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
  void Expect(bool holds, const std::string& violation);
  void ExpectEqual(const Position& is, const Position& must, const std::string& what);
  void AddUp();
  uint64_t CountedSteps(const std::string& reporter_id) const;
  void CheckCounts(bool calm);
  void CheckAgreement();
  bool Chance(uint32_t one_in) { return one_in > 0 && rng_.Below(one_in) == 0; }

  Rng rng_;
  const Faults faults_;
  Deployment deployment_;
  DeploymentOptions options_;
  FakeDaemon daemon_;
  std::map<std::string, Host> hosts_;
  std::vector<std::string> violations_;
  bool healing_ = false;  // clogged links are being restored
  int taste_ = 0, ticks_ = 0;
  uint64_t next_command_ = 1;
  Seen seen_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SIM_WORLD_H_
