#ifndef ADVISOR_CLIENT_REPLAY_SIMULATED_NODE_H_
#define ADVISOR_CLIENT_REPLAY_SIMULATED_NODE_H_

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "client/engine/step_buffer.h"
#include "client/replay/ledger.h"
#include "core/model/request.h"
#include "core/session/messages.h"

namespace advisor::client {

// How a simulated engine talks to its agent.
struct NodeOutlets {
  std::function<void(EngineStep)> record;
  std::function<void(Position, AckPhase, uint64_t step)> confirm;
};

// One serving node with continuous batching: in a step a new request prefills its whole prompt,
// every other live request makes one token. Obeys plans as an engine must: what is prepared is
// staged, a commit takes effect between two steps. Plan calls may come from another thread.
class SimulatedNode {
 public:
  SimulatedNode(const Traffic& traffic, NodeId home, NodeOutlets outlets);

  void OnPlacement(const std::shared_ptr<const Plan>& plan, PlacementMode mode);
  void OnDecision(const RolloutDecision& decision);

  // The `played`-th request, `request` of the trace, starts here at the next step.
  void Admit(int played, int request);
  // Runs a step, if there is anything to do, and books its tokens. Appends requests that ended to
  // `ended`.
  void Step(Ledger* ledger, std::vector<int>* ended);

  size_t live() const { return live_.size(); }
  uint64_t steps() const { return step_; }
  Position applied() const;
  // Newest plan that the engine was told of but must not act on; null: none.
  std::shared_ptr<const Plan> advisory() const;

 private:
  struct Live {
    int played = 0, request = 0, done = 0;  // tokens done
  };
  // Switches to a placement that waits to take effect.
  bool Switch(Ledger* ledger);
  TokenBlock& BlockFor(EngineStep* step, const std::string& domain, Phase phase);

  const Traffic& traffic_;
  const NodeId home_;
  const NodeOutlets outlets_;
  std::vector<Live> live_;
  uint64_t step_ = 0;

  mutable std::mutex mutex_;
  std::shared_ptr<const Plan> applied_, staged_, pending_, advisory_;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPLAY_SIMULATED_NODE_H_
