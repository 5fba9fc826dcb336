// joint as a whole, for engines that cover.
#include "core/exec/thread_pool.h"
#include "tests/support/halves.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::Halves;
using ::advisor::testing::Judge;
using ::advisor::testing::MustPlan;
using ::advisor::testing::PresetHalves;
using ::advisor::testing::ProblemOn;

SolveParams Quick(Dispatch dispatch) {
  SolveParams params;
  params.effort = Effort::kQuick;
  params.phase = PhaseFilter::kDecode;
  params.dispatch = dispatch;
  return params;
}

SolveResult MustSolve(const Problem& problem, const SolveParams& params, int threads = 1) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(threads);
  absl::StatusOr<SolveResult> result = Solve(problem, params, *pool);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

// 25 % spare slots.
Problem SpareProblem(const Halves& halves) {
  return ProblemOn(halves.train, *Topology::Uniform(4, 2, 10));
}

TEST(CoverDispatchTest, SavesMoreOnRequestsNotSeenThanThePlanForTheTable) {
  const Halves halves = PresetHalves("deepseek-v2-lite", 6, 120, 60);
  const Problem problem = SpareProblem(halves);
  const Figures table = Judge(MustPlan(problem, Quick(Dispatch::kTable)), halves.holdout,
                              PhaseFilter::kDecode, Dispatch::kCover);
  const Figures cover = Judge(MustPlan(problem, Quick(Dispatch::kCover)), halves.holdout,
                              PhaseFilter::kDecode, Dispatch::kCover);
  EXPECT_GT(*cover.saving_ratio, *table.saving_ratio);
  EXPECT_LT(cover.node_load.mean, 1.25);
}

// With caps that bind nothing the cost is the visits.
TEST(CoverDispatchTest, NeverCostsMoreThanThePlanForTheTable) {
  for (uint64_t seed : {1, 2, 3}) {
    Halves halves = PresetHalves("deepseek-v2-lite", 3, 40, 40, seed);
    for (Request& request : halves.train.requests) {
      request.prompt_tokens = 0;  // tokens of another phase would count too
    }
    const Problem problem = SpareProblem(halves);
    const auto visits = [&](Dispatch dispatch) {
      SolveParams params = Quick(dispatch);
      params.node_load_cap = params.gpu_load_cap = 8;
      const SolveResult result = MustSolve(problem, params);
      Plan plan;
      plan.model = problem.model;
      plan.topology = problem.topology;
      plan.placement = result.placement;
      plan.remote_choice = result.remote_choice;
      absl::StatusOr<std::vector<LayerFigures>> layers = EvaluateLayers(
          plan, problem.traffic, result.homes, {PhaseFilter::kDecode, Dispatch::kCover});
      EXPECT_TRUE(layers.ok()) << layers.status();
      return *std::move(layers);
    };
    const std::vector<LayerFigures> table = visits(Dispatch::kTable);
    const std::vector<LayerFigures> cover = visits(Dispatch::kCover);
    double less = 0;
    for (size_t l = 0; l < table.size(); ++l) {
      EXPECT_LE(cover[l].visits, table[l].visits);
      less += table[l].visits - cover[l].visits;
    }
    EXPECT_GT(less, 0);
  }
}

TEST(CoverDispatchTest, DoesNotDependOnThreads) {
  const Halves halves = PresetHalves("gpt-oss-20b", 4, 40, 40);
  const Problem problem = ProblemOn(halves.train, *Topology::Uniform(4, 2, 5));
  const SolveResult one = MustSolve(problem, Quick(Dispatch::kCover));
  for (int threads : {2, 5}) {
    const SolveResult more = MustSolve(problem, Quick(Dispatch::kCover), threads);
    EXPECT_EQ(one.placement, more.placement);
    EXPECT_EQ(one.remote_choice.cells(), more.remote_choice.cells());
    EXPECT_EQ(one.grouping, more.grouping);
    EXPECT_EQ(one.iterations, more.iterations);
  }
}

TEST(CoverDispatchTest, ARepairKeepsToItsMoves) {
  const Halves halves = PresetHalves("deepseek-v2-lite", 4, 60, 40);
  Problem problem = SpareProblem(halves);
  problem.in_force = LinearPlacement(problem.model, problem.topology);
  SolveParams params = Quick(Dispatch::kCover);
  params.max_moved_fraction = 0.1;
  const SolveResult result = MustSolve(problem, params);
  const auto slots = double(problem.topology.slot_count()) * problem.model.moe_layers;
  EXPECT_LE(double(MovedSlots(problem.topology, *problem.in_force, result.placement)), 0.1 * slots);
}

TEST(CoverDispatchTest, OneNodeAndSumsAlonePass) {
  const Halves halves = PresetHalves("gpt-oss-20b", 2, 20, 30);
  Problem problem = ProblemOn(halves.train, *Topology::Uniform(1, 4, 10));
  EXPECT_TRUE(MustSolve(problem, Quick(Dispatch::kCover)).layers_over_cap.empty());
  problem.topology = *Topology::Uniform(4, 2, 5);
  for (Request& request : problem.traffic.requests) {
    request = testing::SumsOf(problem.model, request);
  }
  const SolveResult sums = MustSolve(problem, Quick(Dispatch::kCover));
  EXPECT_EQ(sums.homes.size(), problem.traffic.requests.size());
}

}  // namespace
}  // namespace advisor
