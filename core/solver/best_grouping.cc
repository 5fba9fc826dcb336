#include "core/solver/best_grouping.h"

#include <algorithm>
#include <optional>
#include <utility>

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

}  // namespace

std::vector<NodeId> InTrafficOrder(const TokenPool& pool, const std::vector<NodeId>& homes) {
  std::vector<NodeId> out(homes.size());
  for (size_t i = 0; i < homes.size(); ++i) {
    out[pool.source[i]] = homes[i];
  }
  return out;
}

SolveResult SolveByBestGrouping(const Problem& problem, const SolveParams& params,
                                const RequestGroups& groups,
                                const std::function<Grouped(const std::vector<NodeId>&)>& build,
                                ParallelFor& parallel) {
  const std::vector<Try> tries = TriesFor(problem, params.effort);
  std::vector<std::optional<Grouped>> tried(tries.size());
  parallel.Run(static_cast<int>(tries.size()), [&](int i) {
    if (i == 0 || !params.should_stop || !params.should_stop()) {
      tried[i] = build(groups.Homes(tries[i].clusters, Rng(params.seed).Fork(tries[i].seed)));
    }
  });
  size_t best = 0;
  int64_t done = 0;
  for (size_t i = 0; i < tried.size(); ++i) {
    done += tried[i].has_value();
    if (tried[i].has_value() && tried[i]->cost < tried[best]->cost) {
      best = i;
    }
  }
  SolveResult result = std::move(tried[best]->result);
  result.iterations = done;
  result.termination = problem.traffic.requests.empty()            ? Termination::kNothingToDo
                       : done < static_cast<int64_t>(tries.size()) ? Termination::kTimeLimit
                                                                   : Termination::kBudgetSpent;
  return result;
}

}  // namespace advisor
