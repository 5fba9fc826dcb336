#include <algorithm>
#include <memory>

#include "core/exec/thread_pool.h"
#include "core/grouping/assigner.h"
#include "core/solver/solver.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;

Problem DomainsProblem(int domains, const Topology& topology) {
  Rng rng(11);
  Problem problem;
  problem.model = SmallModel(3, 24, 2);
  problem.topology = topology;
  problem.traffic = RandomTraffic(problem.model, 60, domains, &rng);
  return problem;
}

SolveParams Paper() {
  SolveParams params;
  params.method = Method::kPaper;
  params.phase = PhaseFilter::kDecode;
  return params;
}

int EmptySlots(const Placement& placement) {
  return static_cast<int>(
      std::count(placement.cells().begin(), placement.cells().end(), kEmptySlot));
}

TEST(SolvePaperTest, SavesOnRequestsNobodyHasSeen) {
  const Problem problem = DomainsProblem(3, *Topology::Uniform(3, 2, 4));
  Rng rng(12);
  const Traffic holdout = RandomTraffic(problem.model, 60, 3, &rng);
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(problem, holdout, Paper(), nullptr, parallel));
  EXPECT_GE(*plan.predicted->figures.saving_ratio, 0.15);
  EXPECT_LE(plan.predicted->figures.home_token_max_over_mean, 1.2);
  EXPECT_EQ(EmptySlots(plan.placement), 0);
}

// Domains with experts of their own, one node each: nothing need leave home.
TEST(SolvePaperTest, DisjointDomainsStayAtHome) {
  Problem problem;
  problem.model = SmallModel(1, 6, 2);
  problem.topology = *Topology::Uniform(3, 1, 2);
  problem.traffic.model = problem.model;
  for (int i = 0; i < 12; ++i) {
    Request r;
    r.id = absl::StrCat("r", i);
    r.tokens = 10;
    r.prompt_tokens = 5;
    for (int t = 0; t < 10; ++t) {
      r.experts.push_back(static_cast<uint16_t>((i + i / 3) % 3 * 2));
      r.experts.push_back(static_cast<uint16_t>((i + i / 3) % 3 * 2 + 1));
    }
    problem.traffic.requests.push_back(r);
  }
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const Plan plan,
                       SolvePlan(problem, problem.traffic, Paper(), nullptr, parallel));
  EXPECT_EQ(plan.predicted->figures.remote_visits_per_token_layer, 0.0);
  EXPECT_EQ(plan.predicted->figures.saving_ratio, 1.0);
}

TEST(SolvePaperTest, SpareSlotsAreFilledAndSaveMore) {
  const Problem none = DomainsProblem(3, *Topology::Uniform(3, 2, 4));
  const Problem spare = DomainsProblem(3, *Topology::Uniform(3, 2, 6));
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const Plan a, SolvePlan(none, none.traffic, Paper(), nullptr, parallel));
  ASSERT_OK_AND_ASSIGN(const Plan b, SolvePlan(spare, spare.traffic, Paper(), nullptr, parallel));
  EXPECT_EQ(EmptySlots(b.placement), 0);
  EXPECT_GT(*b.predicted->fit->saving_ratio, *a.predicted->fit->saving_ratio + 0.1);
}

TEST(SolvePaperTest, SameResultForAnyThreadsAndOrderOfRequests) {
  const Problem problem =
      DomainsProblem(4, *Topology::Create({{"a", 2, 5, ""}, {"b", 4, 3, ""}, {"c", 1, 8, ""}}));
  InlineParallelFor one;
  const std::unique_ptr<ParallelFor> many = MakeThreadPool(3);
  ASSERT_OK_AND_ASSIGN(const SolveResult first, Solve(problem, Paper(), one));
  ASSERT_OK_AND_ASSIGN(const SolveResult second, Solve(problem, Paper(), *many));
  EXPECT_EQ(first.placement, second.placement);
  EXPECT_EQ(first.grouping, second.grouping);
  EXPECT_EQ(first.homes, second.homes);
  Problem reversed = problem;
  std::reverse(reversed.traffic.requests.begin(), reversed.traffic.requests.end());
  ASSERT_OK_AND_ASSIGN(const SolveResult third, Solve(reversed, Paper(), one));
  EXPECT_EQ(first.placement, third.placement);
  EXPECT_EQ(first.grouping, third.grouping);
}

TEST(SolvePaperTest, WorksOnSumsOneNodeAndNothing) {
  InlineParallelFor parallel;
  Problem sums = DomainsProblem(3, *Topology::Uniform(3, 2, 4));
  for (Request& r : sums.traffic.requests) {
    r = SumsOf(sums.model, r);
  }
  ASSERT_OK_AND_ASSIGN(const Plan plan, SolvePlan(sums, sums.traffic, Paper(), nullptr, parallel));
  EXPECT_GT(*plan.predicted->figures.remote_activation_saving_ratio, 0.1);
  const Problem one_node = DomainsProblem(3, *Topology::Uniform(1, 2, 13));
  ASSERT_OK_AND_ASSIGN(const SolveResult on_one, Solve(one_node, Paper(), parallel));
  EXPECT_EQ(EmptySlots(on_one.placement), 3 * 2);  // a node holds an expert at most once
  Problem nothing = DomainsProblem(3, *Topology::Uniform(3, 2, 4));
  nothing.traffic.requests.clear();
  ASSERT_OK_AND_ASSIGN(const SolveResult idle, Solve(nothing, Paper(), parallel));
  EXPECT_EQ(idle.termination, Termination::kNothingToDo);
}

}  // namespace
}  // namespace advisor
