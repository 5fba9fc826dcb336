#ifndef ADVISOR_CLIENT_ENGINE_ENGINE_CLIENT_H_
#define ADVISOR_CLIENT_ENGINE_ENGINE_CLIENT_H_

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/engine/step_buffer.h"
#include "core/model/topology.h"
#include "core/session/messages.h"

namespace advisor::client {

struct EngineClientOptions {
  std::string socket = "/run/advisor/agent.sock";
  ModelSpec model;            // what the engine runs; shapes steps and merges
  size_t buffer_steps = 256;  // whole steps that may wait for the agent; beyond that they merge
  // Steps recorded within so long of each other travel as one message, whole tokens and all: a
  // message costs both sides more than counting a step.
  absl::Duration join = absl::Milliseconds(500);
  absl::Duration reconnect_min = absl::Milliseconds(100);
  absl::Duration reconnect_max = absl::Seconds(5);
};

// What the agent says of the deployment.
struct EngineInfo {
  std::string deployment, node;
  int node_index = 0;
  bool has_model = false;
  ModelSpec model;
  Topology topology;
};

// What an engine hears about plans. Called from the client's own thread, one at a time; may call
// Confirm().
struct PlanCallbacks {
  std::function<void(const EngineInfo&)> on_info;
  // kPrepare: stage, then Confirm(STAGED), keep running the old one. kInForce: stage and switch.
  // kAdvisory: do nothing.
  std::function<void(const std::shared_ptr<const Plan>&, PlacementMode)> on_placement;
  // commit: switch to what was staged at the next step, then Confirm(APPLIED). Else drop it.
  std::function<void(const RolloutDecision&)> on_decision;
  std::function<void(const Grouping&, Position)> on_grouping;
};

struct EngineClientStatus {
  bool recording = false, watching = false;  // streams that are open now
  uint64_t steps = 0;                        // recorded, lost ones included
  uint64_t confirmed = 0;                    // counted by the agent for sure
  uint64_t lost = 0;                         // dropped, or under way when the agent died
  uint64_t refused = 0;  // malformed: by Record() or by the agent; neither confirmed nor lost
  size_t waiting = 0;    // in the buffer
};

// An engine's connection to the agent on its node. The engine is never held up: Record() only moves
// a step into a bounded buffer. Works on while the agent is away; finds it again by itself.
class EngineClient {
 public:
  EngineClient(EngineClientOptions options, PlanCallbacks callbacks);
  // Drops what the agent has not taken within about a second.
  ~EngineClient();
  EngineClient(const EngineClient&) = delete;
  EngineClient& operator=(const EngineClient&) = delete;

  // Never waits for the agent. Steps are recorded by one thread at a time.
  void Record(EngineStep step);
  // What the engine did with a plan; kept until the agent has taken it, of each position and phase
  // once. Never waits.
  void Confirm(Position position, AckPhase phase, uint64_t step = 0,
               NackReason nack = NackReason::kNone, const std::string& message = "");
  // Until the agent has confirmed everything recorded so far, and taken note of what was lost, or
  // the deadline: true when it has.
  bool Flush(absl::Time deadline);

  EngineClientStatus Status() const;

 private:
  struct Wire;  // gRPC
  std::unique_ptr<Wire> wire_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_ENGINE_ENGINE_CLIENT_H_
