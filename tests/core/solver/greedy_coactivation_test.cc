#include <algorithm>
#include <memory>

#include "core/exec/thread_pool.h"
#include "core/solver/solver.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;

Problem DomainsProblem(const Topology& topology) {
  Rng rng(21);
  Problem problem;
  problem.model = SmallModel(3, 24, 3);
  problem.topology = topology;
  problem.traffic = RandomTraffic(problem.model, 60, 3, &rng);
  return problem;
}

SolveParams Greedy() {
  SolveParams params;
  params.method = Method::kGreedyCoactivation;
  params.phase = PhaseFilter::kDecode;
  return params;
}

TEST(SolveGreedyCoactivationTest, SavesOnRequestsNobodyHasSeen) {
  const Problem problem = DomainsProblem(*Topology::Uniform(3, 2, 4));
  Rng rng(22);
  const Traffic holdout = RandomTraffic(problem.model, 60, 3, &rng);
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(problem, holdout, Greedy(), nullptr, parallel));
  EXPECT_GE(*plan.predicted->figures.saving_ratio, 0.1);
  EXPECT_LE(plan.predicted->fit->node_load.worst, 1.10 + 1e-9);
}

// Experts chosen in fixed pairs, at random otherwise: only co-activation shows that a pair belongs
// on one node.
TEST(SolveGreedyCoactivationTest, KeepsPairsTogether) {
  Rng rng(5);
  Problem problem;
  problem.model = SmallModel(1, 16, 2);
  problem.topology = *Topology::Uniform(4, 1, 4);
  problem.traffic.model = problem.model;
  for (int i = 0; i < 40; ++i) {
    Request r;
    r.id = absl::StrCat("r", i);
    r.tokens = 40;
    for (int t = 0; t < 40; ++t) {
      const auto e = static_cast<uint16_t>(rng.Below(8));
      r.experts.insert(r.experts.end(), {e, static_cast<uint16_t>(e + 8)});
    }
    problem.traffic.requests.push_back(r);
  }
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, Greedy(), parallel));
  const ServeTable serve(problem.model, problem.topology, result.placement, result.remote_choice);
  for (int e = 0; e < 8; ++e) {
    EXPECT_EQ(serve.Holders(0, e), serve.Holders(0, e + 8));
  }
}

TEST(SolveGreedyCoactivationTest, SpareSlotsSaveMore) {
  const Problem none = DomainsProblem(*Topology::Uniform(3, 2, 4));
  const Problem spare = DomainsProblem(*Topology::Uniform(3, 2, 6));
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const Plan a, SolvePlan(none, none.traffic, Greedy(), nullptr, parallel));
  ASSERT_OK_AND_ASSIGN(const Plan b, SolvePlan(spare, spare.traffic, Greedy(), nullptr, parallel));
  EXPECT_GT(*b.predicted->fit->saving_ratio, *a.predicted->fit->saving_ratio + 0.1);
}

TEST(SolveGreedyCoactivationTest, SameResultForAnyThreadsAndOrderOfRequests) {
  const Problem problem =
      DomainsProblem(*Topology::Create({{"a", 2, 5, ""}, {"b", 4, 3, ""}, {"c", 1, 8, ""}}));
  InlineParallelFor one;
  const std::unique_ptr<ParallelFor> many = MakeThreadPool(3);
  ASSERT_OK_AND_ASSIGN(const SolveResult first, Solve(problem, Greedy(), one));
  ASSERT_OK_AND_ASSIGN(const SolveResult second, Solve(problem, Greedy(), *many));
  Problem reversed = problem;
  std::reverse(reversed.traffic.requests.begin(), reversed.traffic.requests.end());
  ASSERT_OK_AND_ASSIGN(const SolveResult third, Solve(reversed, Greedy(), one));
  for (const SolveResult* other : {&second, &third}) {
    EXPECT_EQ(first.placement, other->placement);
    EXPECT_EQ(first.remote_choice, other->remote_choice);
    EXPECT_EQ(first.grouping, other->grouping);
  }
  EXPECT_EQ(first.homes, second.homes);
}

TEST(SolveGreedyCoactivationTest, WorksOnSumsOneNodeAndNothing) {
  InlineParallelFor parallel;
  Problem sums = DomainsProblem(*Topology::Uniform(3, 2, 5));
  for (Request& r : sums.traffic.requests) {
    r = SumsOf(sums.model, r);
  }
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(sums, sums.traffic, Greedy(), nullptr, parallel));
  EXPECT_GT(*plan.predicted->figures.remote_activation_saving_ratio, 0.05);
  EXPECT_TRUE(Solve(DomainsProblem(*Topology::Uniform(1, 2, 13)), Greedy(), parallel).ok());
  Problem nothing = DomainsProblem(*Topology::Uniform(3, 2, 4));
  nothing.traffic.requests.clear();
  ASSERT_OK_AND_ASSIGN(const SolveResult idle, Solve(nothing, Greedy(), parallel));
  EXPECT_EQ(idle.termination, Termination::kNothingToDo);
}

}  // namespace
}  // namespace advisor
