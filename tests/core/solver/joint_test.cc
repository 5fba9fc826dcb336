#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "core/cost/evaluate.h"
#include "core/exec/thread_pool.h"
#include "core/solver/methods.h"
#include "core/solver/moves.h"
#include "core/solver/solver.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::advisor::testing::SumsOf;

Problem MakeProblem(int layers, int experts, int top_k, Topology topology, int requests,
                    uint64_t seed) {
  Rng rng(seed);
  Problem problem;
  problem.model = SmallModel(layers, experts, top_k);
  problem.traffic = RandomTraffic(problem.model, requests, topology.node_count(), &rng);
  // Shuffled: dealt in the generator's order, every taste would meet its experts under the linear
  // placement.
  std::vector<Request>& list = problem.traffic.requests;
  for (size_t i = list.size(); i > 1; --i) {
    std::swap(list[i - 1], list[rng.Below(static_cast<uint32_t>(i))]);
  }
  problem.topology = std::move(topology);
  return problem;
}

SolveParams Quick() {
  SolveParams params;
  params.effort = Effort::kQuick;
  return params;
}

SolveResult MustSolve(const Problem& problem, const SolveParams& params) {
  InlineParallelFor inline_parallel;
  absl::StatusOr<SolveResult> result = Solve(problem, params, inline_parallel);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

Figures Fit(const Problem& problem, const SolveResult& result, PhaseFilter phase) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  plan.remote_choice = result.remote_choice;
  return *EvaluateWithBaseline(plan, problem.traffic, result.homes, {phase, Dispatch::kTable});
}

void ExpectSame(const SolveResult& a, const SolveResult& b) {
  EXPECT_EQ(a.placement, b.placement);
  EXPECT_EQ(a.remote_choice.cells(), b.remote_choice.cells());
  EXPECT_EQ(a.grouping, b.grouping);
  EXPECT_EQ(a.iterations, b.iterations);
}

// The fewest visits of one layer over every placement without spare copies, requests staying where
// they are.
int64_t LeastVisits(const Problem& problem, const std::vector<NodeId>& homes) {
  std::vector<int16_t> row(problem.model.experts);
  std::iota(row.begin(), row.end(), int16_t{0});
  const int per_node = problem.model.experts / problem.topology.node_count();
  int64_t least = std::numeric_limits<int64_t>::max();
  do {
    std::vector<int16_t> node(problem.model.experts);
    for (size_t s = 0; s < row.size(); ++s) {
      node[row[s]] = static_cast<int16_t>(s / per_node);
    }
    int64_t visits = 0;
    for (size_t r = 0; r < homes.size(); ++r) {
      const Request& request = problem.traffic.requests[r];
      for (int t = 0; t < request.tokens; ++t) {
        visits += RemoteVisits(request.token(problem.model, t, 0), problem.model.top_k, node.data(),
                               homes[r].value());
      }
    }
    least = std::min(least, visits);
  } while (std::next_permutation(row.begin(), row.end()));
  return least;
}

TEST(JointTest, ReachesTheOptimumForItsGroupingOnTinyProblems) {
  for (uint64_t seed : {1, 2, 3, 4}) {
    Problem problem = MakeProblem(1, 6, 2, *Topology::Uniform(3, 1, 2), 9, seed);
    for (Request& r : problem.traffic.requests) {
      r.prompt_tokens = 0;
    }
    SolveParams params = Quick();
    params.phase = PhaseFilter::kDecode;             // serving both, linear's loads would bind
    params.node_load_cap = params.gpu_load_cap = 3;  // bind nothing
    const SolveResult result = MustSolve(problem, params);
    const Figures figures = Fit(problem, result, PhaseFilter::kDecode);
    const auto visits =
        static_cast<int64_t>(*figures.remote_visits_per_token_layer * double(figures.tokens) + 0.5);
    EXPECT_EQ(visits, LeastVisits(problem, result.homes));
  }
}

TEST(JointTest, SavesAgainstTheBaselineInBothPhases) {
  const Problem problem = MakeProblem(3, 24, 4, *Topology::Uniform(4, 2, 4), 60, 5);
  const SolveResult result = MustSolve(problem, Quick());
  for (PhaseFilter phase : {PhaseFilter::kPrefill, PhaseFilter::kDecode}) {
    const Figures figures = Fit(problem, result, phase);
    EXPECT_GT(*figures.saving_ratio, 0.1);
    EXPECT_LE(figures.node_load.worst, 1.10 + 1e-9);
    EXPECT_LE(figures.gpu_load.worst, 1.15 + 1e-9);
  }
  EXPECT_TRUE(result.layers_over_cap.empty());
  EXPECT_EQ(result.termination, Termination::kBudgetSpent);
}

TEST(JointTest, DoesNotDependOnThreadsOrOnTheOrderOfRequests) {
  Problem problem = MakeProblem(4, 16, 3, *Topology::Uniform(3, 2, 4), 30, 6);
  const SolveResult one = MustSolve(problem, Quick());
  for (int threads : {2, 5}) {
    const std::unique_ptr<ParallelFor> pool = MakeThreadPool(threads);
    ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, Quick(), *pool));
    ExpectSame(one, result);
  }
  std::reverse(problem.traffic.requests.begin(), problem.traffic.requests.end());
  SolveResult reversed = MustSolve(problem, Quick());
  ExpectSame(one, reversed);
  std::reverse(reversed.homes.begin(), reversed.homes.end());
  EXPECT_EQ(one.homes, reversed.homes);
}

TEST(JointTest, SeedsDiffer) {
  const Problem problem = MakeProblem(4, 32, 4, *Topology::Uniform(4, 2, 4), 40, 7);
  SolveParams other = Quick();
  other.seed = 2;
  EXPECT_NE(MustSolve(problem, Quick()).placement, MustSolve(problem, other).placement);
}

TEST(JointTest, SpareSlotsSaveMore) {
  const SolveResult tight =
      MustSolve(MakeProblem(2, 16, 3, *Topology::Uniform(4, 1, 4), 40, 8), Quick());
  const Problem roomy = MakeProblem(2, 16, 3, *Topology::Uniform(4, 1, 8), 40, 8);
  const SolveResult spare = MustSolve(roomy, Quick());
  EXPECT_GT(
      *Fit(roomy, spare, PhaseFilter::kAll).saving_ratio,
      *Fit(MakeProblem(2, 16, 3, *Topology::Uniform(4, 1, 4), 40, 8), tight, PhaseFilter::kAll)
              .saving_ratio +
          0.1);
}

TEST(JointTest, ExcessIsLeastWhereACapCannotBeMet) {
  // One expert takes half of all activations and there is no slot for a second copy: its GPU cannot
  // be below 2 of 4.
  Problem problem = MakeProblem(1, 8, 2, *Topology::Uniform(2, 2, 2), 10, 9);
  for (Request& r : problem.traffic.requests) {
    for (int t = 0; t < r.tokens; ++t) {
      r.experts[size_t(t) * 2] = 0;
      r.experts[size_t(t) * 2 + 1] = static_cast<uint16_t>(1 + t % 7);
    }
  }
  const SolveResult result = MustSolve(problem, Quick());
  EXPECT_THAT(result.layers_over_cap, ::testing::ElementsAre(0));
  const double gpu = Fit(problem, result, PhaseFilter::kAll).gpu_load.worst;
  EXPECT_GE(gpu, 2.0);
  EXPECT_LE(gpu, 2.0 + 4 * 0.5 / 6);  // nothing but the least wanted expert beside it
}

TEST(JointTest, LabelsAreNotNeeded) {
  Problem problem = MakeProblem(3, 24, 4, *Topology::Uniform(4, 2, 3), 60, 5);
  const double labelled =
      *Fit(problem, MustSolve(problem, Quick()), PhaseFilter::kAll).saving_ratio;
  for (Request& r : problem.traffic.requests) {
    r.domain.clear();
  }
  const SolveResult result = MustSolve(problem, Quick());
  EXPECT_TRUE(result.grouping.domains.empty());
  EXPECT_GT(*Fit(problem, result, PhaseFilter::kAll).saving_ratio, labelled - 0.03);
}

TEST(JointTest, SumsAloneAreEnoughForAPlan) {
  Problem problem = MakeProblem(2, 16, 3, *Topology::Uniform(4, 1, 4), 30, 10);
  const Traffic whole = problem.traffic;
  for (Request& r : problem.traffic.requests) {
    r = SumsOf(problem.model, r);
  }
  SolveParams loose = Quick();
  loose.node_load_cap = loose.gpu_load_cap = 1.5;
  const SolveResult result = MustSolve(problem, loose);
  Problem judged = problem;
  judged.traffic = whole;
  EXPECT_GT(*Fit(judged, result, PhaseFilter::kAll).remote_activation_saving_ratio, 0.1);
}

TEST(JointTest, HandlesTheSmallestProblems) {
  Problem nothing = MakeProblem(2, 8, 2, *Topology::Uniform(2, 2, 2), 3, 11);
  nothing.traffic.requests.clear();
  EXPECT_EQ(MustSolve(nothing, Quick()).termination, Termination::kNothingToDo);
  MustSolve(MakeProblem(1, 8, 2, *Topology::Uniform(1, 2, 5), 5, 12), Quick());
  MustSolve(MakeProblem(1, 4, 1, *Topology::Uniform(4, 1, 1), 5, 13), Quick());
  MustSolve(MakeProblem(2, 5, 5, *Topology::Uniform(3, 1, 4), 1, 14), Quick());
  MustSolve(MakeProblem(2, 9, 2, *Topology::Create({{"a", 1, 7, ""}, {"b", 3, 2, ""}}), 12, 15),
            Quick());
}

TEST(JointTest, AStopAtOnceStillGivesAValidPlan) {
  const Problem problem = MakeProblem(3, 16, 3, *Topology::Uniform(4, 1, 5), 20, 16);
  SolveParams params = Quick();
  params.should_stop = [] { return true; };
  EXPECT_EQ(MustSolve(problem, params).termination, Termination::kTimeLimit);
}

class RepairTest : public ::testing::TestWithParam<double> {};

TEST_P(RepairTest, MovesWithinTheBudgetAndKeepsSlots) {
  Problem problem = MakeProblem(4, 16, 3, *Topology::Uniform(4, 2, 3), 40, 17);
  problem.in_force = LinearPlacement(problem.model, problem.topology);
  SolveParams params = Quick();
  params.max_moved_fraction = GetParam();
  const SolveResult result = MustSolve(problem, params);
  const int64_t moved = MovedSlots(problem.topology, *problem.in_force, result.placement);
  EXPECT_LE(double(moved), GetParam() * 4 * 24);
  EXPECT_GT(moved, 0);
  // What stays on a GPU stays in its slot.
  for (int l = 0; l < 4; ++l) {
    const absl::Span<const int16_t> before = problem.in_force->row(LayerId(l));
    const absl::Span<const int16_t> after = result.placement.row(LayerId(l));
    for (int s = 0; s < 24; ++s) {
      for (int other = 0; other < 24; ++other) {
        const bool same_gpu =
            problem.topology.gpu_of(SlotId(s)) == problem.topology.gpu_of(SlotId(other));
        EXPECT_FALSE(same_gpu && s != other && before[s] != kEmptySlot &&
                     before[s] == after[other]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Budgets, RepairTest, ::testing::Values(0.05, 0.1, 0.3));

TEST(JointTest, AForbiddenMoveMovesNothing) {
  Problem problem = MakeProblem(2, 16, 3, *Topology::Uniform(4, 2, 3), 40, 18);
  problem.in_force = LinearPlacement(problem.model, problem.topology);
  SolveParams params = Quick();
  params.max_moved_fraction = 0;
  EXPECT_EQ(MustSolve(problem, params).placement, *problem.in_force);
}

TEST(JointTest, BalanceLevelsGpus) {
  Problem problem = MakeProblem(3, 32, 4, *Topology::Uniform(2, 4, 6), 40, 19);
  SolveParams params = Quick();
  params.objective = Objective::kBalance;
  EXPECT_LT(Fit(problem, MustSolve(problem, params), PhaseFilter::kAll).gpu_load.worst, 1.03);
}

}  // namespace
}  // namespace advisor
