#ifndef ADVISOR_CLIENT_REPLAY_REPLAY_H_
#define ADVISOR_CLIENT_REPLAY_REPLAY_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/channel.h"
#include "client/replay/ledger.h"
#include "client/replay/sequence.h"
#include "core/model/request.h"

namespace advisor::client {

// What the daemon says it is about, while a run idles.
struct DaemonView {
  bool keeps_plan = false;  // it has decided that no other plan is due
  std::string decision;     // its last one, for people
  uint64_t window_tokens = 0;
};

struct ReplayOptions {
  std::vector<std::string> agent_sockets;  // one agent per node of the deployment
  ChannelOptions daemon;
  bool shift = true;                             // see MakeSequence
  int live_per_node = 8;                         // requests that a node decodes at a time
  double steps_per_second = 200;                 // of each engine; 0: as fast as the agents count
  absl::Duration plan_wait = absl::Seconds(30);  // longest idling for a plan
  // Where within each half the run idles for a plan, as a share of the half's requests.
  double pause_at = 0.6;
  // Asked while the run idles, with the deployment's name, so that it need not wait for a plan that
  // will not come.
  std::function<absl::StatusOr<DaemonView>(const std::string& deployment)> look;
};

// What happened, for the tables.
struct ReplayResult {
  std::string deployment;
  Topology topology;
  Sequence sequence;
  std::vector<PartFigures> parts;
  int64_t requests = 0, tokens = 0;
  int64_t skipped = 0;  // requests of the trace known only by counts, or without tokens
  int64_t grouped = 0;  // requests homed by a grouping
  uint64_t steps = 0,
           lost_steps = 0;  // recorded by all engines; of these lost on the way to the agents
  std::vector<std::string> remarks;  // what did not go as planned
  double seconds = 0;
};

// Lines of progress: `fraction` played, and what is going on.
using Progress = std::function<void(double fraction, const std::string& line)>;

// Plays a trace against a daemon: one simulated engine per node reports every step through its
// agent, obeys the plans it is handed, and books where its tokens really went. Requests start in
// order, each once, on the node that the daemon's GroupingService names. In each half of the run it
// idles once, so that a plan made from what was reported so far can arrive. INVALID_ARGUMENT:
// agents and trace do not fit. UNAVAILABLE: an agent or the daemon is not there.
absl::StatusOr<ReplayResult> Replay(const Traffic& traffic, const ReplayOptions& options,
                                    const Progress& progress);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPLAY_REPLAY_H_
