#ifndef ADVISOR_CORE_GROUPING_ASSIGNER_H_
#define ADVISOR_CORE_GROUPING_ASSIGNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/model/plan.h"
#include "core/model/request.h"

namespace advisor {

// One nonzero count of a prompt: how many of its tokens chose `expert` in `layer`.
struct PromptCount {
  uint16_t layer = 0;
  uint16_t expert = 0;
  uint32_t count = 0;
};

// What a request's prompt tells: all that Assign may look at.
struct Prompt {
  std::string domain;               // may be empty or unknown
  int tokens = 0;                   // 0: the counts are not looked at
  std::vector<PromptCount> counts;  // any order; may be empty (only the domain is known)
};

// The prompt of a trace's request, counts by layer, then expert: counts over its prefill tokens
// (all counts and tokens, for requests known by sums).
Prompt PromptOf(const ModelSpec& model, const Request& request);

struct Choice {
  NodeId node;
  double cost = 0;       // estimated remote visits per decode token, summed over layers
  bool spilled = false;  // the cheapest node was too loaded, or too far ahead for its advantage
};

// Places requests one by one. With
//   fair(node) = node_share[node] * total,
//   allowance(node) = load_slack * fair(node) + load_slack_requests * typical request,
// total and typical including this request, a node may take a request of weight w (expected tokens)
// while load(node) <= fair(node) + allowance(node). Among those nodes the one with the least
//   cost(node) + load_price * (load(node) + w / 2 - fair(node)) / allowance(node)
// takes it; if there is none, and among equals, the one with the least load for its share (ties:
// lower node id).
// The typical request is the one that a token is in: the mean of requests by weight, sum of w^2 /
// sum of w over all that were ever assigned: allowances of mean requests would leave no room for
// the few long ones that carry most tokens. Nor must a request itself fit the allowance.
// With an empty grouping requests are dealt round-robin. Deterministic. Not thread-safe.
class Assigner {
 public:
  // `grouping` must be valid (Validate(Plan)) and outlive the assigner; `nodes` is used when it is
  // empty.
  Assigner(const Grouping& grouping, int nodes);

  // Nodes by rising estimated cost (ties: lower node id); does not change the load. Counts outside
  // the grouping's layers and experts are ignored. Empty grouping: ring from the next node.
  std::vector<Choice> Rank(const Prompt& prompt) const;

  // Chooses and books the request's expected decode tokens on the node.
  Choice Assign(const Prompt& prompt) { return Assign(prompt, Rank(prompt)); }
  // The same for one who has ranked the prompt already, on this assigner as it is.
  Choice Assign(const Prompt& prompt, const std::vector<Choice>& ranked);

  // Takes `decode_tokens` (as booked) back from a node when a request ends, so that load means
  // requests alive. Offline, where load means share of all traffic, it is never called.
  void Release(NodeId node, double decode_tokens);

  // Goes on with the load of an assigner with as many nodes, whose grouping this one's replaces.
  void TakeLoadOf(const Assigner& previous);
  // Tokens booked on the node over its share of all that is booked; 1 is its fair part, 0 where
  // nothing is booked at all.
  double LoadOverShare(NodeId node) const;

  // Expected decode tokens of a prompt, the weight that Assign books; at least 1.
  double ExpectedDecodeTokens(const Prompt& prompt) const;

 private:
  Choice Choose(const std::vector<Choice>& ranked, double weight) const;

  const Grouping& grouping_;
  int nodes_;
  int64_t assigned_ = 0;
  double total_ = 0;                           // booked over all nodes
  double booked_ever_ = 0, squares_ever_ = 0;  // sums of w and w^2, for the typical request
  std::vector<double> load_;                   // booked per node
};

// Homes for a whole trace in its order, each request seeing its prompt and the requests before it.
std::vector<NodeId> AssignInOrder(const Plan& plan, const Traffic& traffic);

// Fills what the load rule needs: node_share by GPUs, and decode_per_prompt_token and
// mean_decode_tokens from `traffic`. "Decode" stands for the tokens of `phase`: load is balanced in
// the phase that the deployment serves.
void SetLoadModel(const Topology& topology, const Traffic& traffic, PhaseFilter phase,
                  Grouping* grouping);

}  // namespace advisor

#endif  // ADVISOR_CORE_GROUPING_ASSIGNER_H_
