#include "core/solver/best_grouping.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "core/grouping/assigner.h"

namespace advisor {
namespace {

struct Try {
  int clusters = 0;
  uint64_t seed = 0;
};

std::vector<Try> TriesFor(const Problem& problem, Effort effort) {
  const int nodes = problem.topology.node_count();
  const int requests = static_cast<int>(problem.traffic.requests.size());
  const uint64_t seeds = effort == Effort::kQuick ? 2 : effort == Effort::kStandard ? 5 : 15;
  std::vector<Try> tries;
  for (int factor : {1, 2, 4}) {
    for (uint64_t seed = 0; seed < seeds && (factor == 1 || factor * nodes <= requests); ++seed) {
      tries.push_back({factor * nodes, tries.size()});
    }
  }
  return tries;
}

// What `result` costs requests that are assigned one by one. In the pool's order, so that the order
// of arrival does not matter.
double CostOf(const Problem& problem, const SolveParams& params, const TokenPool& pool,
              const std::vector<Prompt>& prompts, const SolveResult& result) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  plan.remote_choice = result.remote_choice;
  Assigner assigner(result.grouping, problem.topology.node_count());
  std::vector<NodeId> homes;
  for (const Prompt& prompt : prompts) {
    homes.push_back(assigner.Assign(prompt).node);
  }
  const absl::StatusOr<Figures> figures =
      Evaluate(plan, problem.traffic, InTrafficOrder(pool, homes), {params.phase, params.dispatch});
  ADVISOR_CHECK(figures.ok());
  return figures->remote_visits_per_token_layer.value_or(figures->remote_activation_ratio);
}

struct Tried {
  SolveResult result;
  double cost = 0;
};

}  // namespace

std::vector<NodeId> InTrafficOrder(const TokenPool& pool, const std::vector<NodeId>& homes) {
  std::vector<NodeId> out(homes.size());
  for (size_t i = 0; i < homes.size(); ++i) {
    out[pool.source[i]] = homes[i];
  }
  return out;
}

SolveResult SolveByBestGrouping(const Problem& problem, const SolveParams& params,
                                const TokenPool& pool, const RequestGroups& groups,
                                const BuildForHomes& build, ParallelFor& parallel) {
  std::vector<Prompt> prompts;
  for (const Request* request : pool.requests) {
    prompts.push_back(PromptOf(problem.model, *request));
  }
  const std::vector<Try> tries = TriesFor(problem, params.effort);
  std::vector<std::optional<Tried>> tried(tries.size());
  parallel.Run(static_cast<int>(tries.size()), [&](int i) {
    if (i > 0 && params.should_stop && params.should_stop()) {
      return;
    }
    const Rng rng = Rng(params.seed).Fork(tries[i].seed);
    const std::vector<NodeId> homes = groups.Homes(tries[i].clusters, rng);
    Tried t;
    t.result = build(homes);
    t.result.homes = InTrafficOrder(pool, homes);
    t.cost = CostOf(problem, params, pool, prompts, t.result);
    tried[i] = std::move(t);
  });
  int best = 0, done = 0;
  for (size_t i = 0; i < tried.size(); ++i) {
    done += tried[i].has_value();
    if (tried[i].has_value() && tried[i]->cost < tried[best]->cost) {
      best = static_cast<int>(i);
    }
  }
  SolveResult result = std::move(tried[best]->result);
  result.iterations = done;
  result.termination = prompts.empty()                         ? Termination::kNothingToDo
                       : done < static_cast<int>(tries.size()) ? Termination::kTimeLimit
                                                               : Termination::kBudgetSpent;
  return result;
}

}  // namespace advisor
