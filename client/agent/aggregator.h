#ifndef ADVISOR_CLIENT_AGENT_AGGREGATOR_H_
#define ADVISOR_CLIENT_AGENT_AGGREGATOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "client/agent/sampler.h"
#include "client/agent/step.h"
#include "client/agent/visit_table.h"
#include "core/model/plan.h"
#include "core/session/messages.h"

namespace advisor::client {

// Sums of one domain and phase.
struct BlockSums {
  std::string domain;
  Phase phase = Phase::kDecode;
  uint64_t tokens = 0;
  uint64_t visit_tokens = 0;   // of these, known whole and under a known placement
  uint64_t remote_visits = 0;  // of visit_tokens, under the placement applied
  uint64_t linear_nodes =
      0;  // of visit_tokens: nodes of each token and layer under the linear placement
  std::vector<uint32_t> counts;  // [layers, experts]
};

// What happened in a range of steps under one applied placement.
struct StepSums {
  uint64_t steps = 0;
  uint64_t last_step = 0;
  uint64_t tokens = 0;
  Position applied;
  uint64_t applied_hash = 0;
  std::vector<BlockSums> blocks;  // also blocks without tokens, kept for their memory
};

// Adds `from` to `into`, block by block. Applied placement and last step are the later, `from`'s;
// visits under different placements add up.
void AddSums(const StepSums& from, StepSums* into);
// Keeps blocks and memory, forgets what was counted.
void ClearSums(StepSums* sums);
// The frame's counts, without sequences and samples. `nodes` of the topology make the baseline:
// averaged over homes, a token on S nodes makes |S| - |S| / nodes remote visits, since each of the
// S nodes as home saves one.
Frame EncodeSums(const StepSums& sums, int experts, int nodes);

// Counts steps of one model on one node. Allocates per new domain and per sampled row only. Not
// thread-safe.
class Aggregator {
 public:
  Aggregator(const ModelSpec& model, const Topology& topology, NodeId home, int sample_tokens);

  // INVALID_ARGUMENT naming step and block: a shape, id or name out of range, an expert twice in a
  // token, counts of a layer that do not sum to tokens x top_k.
  absl::Status Check(const Step& step);
  // Adds the step that last passed Check(); it has the same applied placement as the others since
  // the last Clear(), see SamePlacement().
  void Count(const Step& step);

  // Placements that steps may name as applied; the last few are kept. Position {0, 0} is the
  // engines' initial, linear one, known from the start.
  void AddPlacement(const Plan& plan);
  bool SamePlacement(const Step& step) const {
    return sums_.steps == 0 || sums_.applied == step.applied;
  }

  const StepSums& sums() const { return sums_; }
  std::vector<SampledRequest> TakeSamples() { return sampler_.Take(domains_); }
  void Clear() { ClearSums(&sums_); }
  void SetSampleTokens(int tokens) { sampler_.SetTokensPerFrame(tokens); }
  const ModelSpec& model() const { return model_; }
  const Topology& topology() const { return topology_; }

 private:
  static constexpr size_t kKeptPlacements = 4;
  struct Known {
    Position position;
    uint64_t hash = 0;
    VisitTable table;
  };
  absl::Status CheckBlock(const StepBlock& block, size_t index);
  absl::Status CheckTokens(const StepBlock& block);
  absl::Status CheckCounts(const StepBlock& block, size_t index);
  const Known* Find(Position position) const;
  BlockSums& BlockFor(const StepBlock& block, int* domain);
  void CountTokens(const StepBlock& block, const Known* known, BlockSums* sums);
  void Sample(const StepBlock& block, int domain, uint64_t step, int block_index);

  ModelSpec model_;
  Topology topology_;
  NodeId home_;
  int id_bytes_;
  Sampler sampler_;
  StepSums sums_;
  std::vector<std::string> domains_;
  std::vector<Known> known_;  // oldest first; [0] is the initial one and stays
  // By block of the step being checked: its counts [layers, experts], where it has counts.
  std::vector<std::vector<uint32_t>> decoded_;
  std::vector<uint32_t> stamp_;  // [experts] last token and layer that chose it, for doubles
  uint32_t next_stamp_ = 0;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_AGGREGATOR_H_
