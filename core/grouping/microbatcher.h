#ifndef ADVISOR_CORE_GROUPING_MICROBATCHER_H_
#define ADVISOR_CORE_GROUPING_MICROBATCHER_H_

#include <vector>

#include "absl/types/span.h"
#include "core/cost/microbatch_experts.h"
#include "core/grouping/assigner.h"

namespace advisor {

// What a microbatch's requests chose: q(l, e), the mean over them of the share of prompt tokens
// that chose expert e in layer l.
class MicrobatchProfile {
 public:
  MicrobatchProfile(int layers, int experts);

  // Distinct experts per step, summed over layers, that a token choosing as the prompt's do adds to
  // kRequestsTogether tokens choosing as the profile's do, each on its own:
  //   sum over (l, e) of p(l, e) * (1 - q(l, e))^kRequestsTogether
  // with p the prompt's shares. 0 for a prompt without counts; counts outside the shape are
  // ignored.
  double NewExperts(const Prompt& prompt) const;
  // Earlier requests count `fade` times as much from now on.
  void Add(const Prompt& prompt, float fade);

 private:
  int layers_, experts_;
  std::vector<float> share_;  // [layers, experts], times weight_
  float weight_ = 0;          // faded number of requests
};

// Splits the requests of every node over its microbatches, one by one, so that the tokens that
// decode together touch few distinct experts. A request joins the microbatch with the least
// NewExperts() of those that have room: load + tokens at most the node's mean + the larger of
// kSlack of it and kSlackRequests mean requests (ties: less load, then lower index); if none has,
// the one with the least load. It learns from the requests themselves, older ones fading: nothing
// but the number of microbatches need be known beforehand. Deterministic. Not thread-safe.
class Microbatcher {
 public:
  static constexpr double kSlack = 0.03;
  static constexpr double kSlackRequests = 2;

  // `shape` gives layers, experts and nodes; not empty. `microbatches` >= 1.
  Microbatcher(const Grouping& shape, int microbatches);

  // `tokens`: what the request is expected to decode (Assigner::ExpectedDecodeTokens).
  Microbatch Place(NodeId home, const Prompt& prompt, double tokens);
  // Takes the tokens of a request that has ended back.
  void Release(NodeId home, Microbatch microbatch, double tokens);

  int microbatches() const { return microbatches_; }

 private:
  struct State {
    MicrobatchProfile profile;
    double load = 0;  // tokens
  };
  const int microbatches_;
  std::vector<State> states_;  // [nodes, microbatches]
  double tokens_ever_ = 0, requests_ever_ = 0;
};

// Microbatches for a whole trace in its order, after the homes were chosen: each request sees its
// prompt and the requests before it. A plan without grouping deals them round-robin on every node.
std::vector<Microbatch> SplitInOrder(const Plan& plan, const Traffic& traffic,
                                     absl::Span<const NodeId> homes, int microbatches);

}  // namespace advisor

#endif  // ADVISOR_CORE_GROUPING_MICROBATCHER_H_
