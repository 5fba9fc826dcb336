#include "core/solver/batch_assignment.h"

#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"
#include "core/solver/home_assignment.h"

namespace advisor {
namespace {

// Tokens that a node or a microbatch may have above its share, as the solver allows itself.
constexpr double kBatchSlack = 0.03;
constexpr int kSplitRounds = 10;  // profiles settle in a few; a bound all the same

// One node's requests, split anew by the profiles that `split` leaves. False: nothing changed.
bool SplitAgain(const Grouping& shape, const std::vector<Prompt>& prompts,
                absl::Span<const double> tokens, const std::vector<size_t>& members,
                int microbatches, std::vector<Microbatch>* split) {
  std::vector<MicrobatchProfile> profiles(microbatches,
                                          MicrobatchProfile(shape.layers, shape.experts));
  for (size_t i : members) {
    profiles[(*split)[i]].Add(prompts[i], 1);
  }
  std::vector<double> cost, demand;
  for (size_t i : members) {
    demand.push_back(tokens[i]);
    for (const MicrobatchProfile& profile : profiles) {
      cost.push_back(profile.NewExperts(prompts[i]) * tokens[i]);
    }
  }
  const std::vector<double> share(microbatches, 1.0 / microbatches);
  const std::vector<NodeId> chosen = AssignBalanced(cost, demand, share, kBatchSlack);
  bool changed = false;
  for (size_t k = 0; k < members.size(); ++k) {
    Microbatch& microbatch = (*split)[members[k]];
    changed |= microbatch != chosen[k].value();
    microbatch = chosen[k].value();
  }
  return changed;
}

}  // namespace

std::vector<NodeId> AssignBatch(const Plan& plan, const Traffic& traffic) {
  const int nodes = plan.topology.node_count();
  const Assigner assigner(plan.grouping, nodes);
  std::vector<double> cost(traffic.requests.size() * nodes), demand;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    const Prompt prompt = PromptOf(plan.model, traffic.requests[i]);
    demand.push_back(assigner.ExpectedDecodeTokens(prompt));
    for (const Choice& choice : assigner.Rank(prompt)) {
      cost[i * nodes + choice.node.value()] = choice.cost * demand.back();
    }
  }
  const std::vector<double> share(plan.grouping.node_share.begin(), plan.grouping.node_share.end());
  return AssignBalanced(cost, demand, share, kBatchSlack);
}

std::vector<Microbatch> SplitBatch(const Plan& plan, const Traffic& traffic,
                                   absl::Span<const NodeId> homes, int microbatches) {
  const int nodes = plan.topology.node_count();
  const Assigner expects(plan.grouping, nodes);
  std::vector<Microbatch> split = SplitInOrder(plan, traffic, homes, microbatches);
  std::vector<Prompt> prompts;
  std::vector<double> tokens;
  std::vector<std::vector<size_t>> members(nodes);
  for (size_t i = 0; i < homes.size(); ++i) {
    prompts.push_back(PromptOf(plan.model, traffic.requests[i]));
    tokens.push_back(expects.ExpectedDecodeTokens(prompts.back()));
    members[homes[i].value()].push_back(i);
  }
  for (const std::vector<size_t>& of_node : members) {
    for (int round = 0; round < kSplitRounds; ++round) {
      if (!SplitAgain(plan.grouping, prompts, tokens, of_node, microbatches, &split)) {
        break;
      }
    }
  }
  return split;
}

}  // namespace advisor
