#include "core/solver/load_leveling.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/rng.h"
#include "core/solver/moves.h"
#include "core/solver/solver.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

using ::advisor::testing::SmallModel;

// Experts of log-normal popularity (sd 1), known by sums; every popularity then times a log-normal
// of sd `drift`.
Traffic MakeSums(const ModelSpec& model, uint64_t seed, double drift) {
  Rng popularity(seed), drifting(seed + 1000);
  Traffic traffic;
  traffic.model = model;
  Request r;
  r.id = "all";
  r.counts.resize(size_t(model.moe_layers) * model.experts);
  for (uint32_t& count : r.counts) {
    const double now = std::exp(popularity.Normal() + drift * drifting.Normal());
    count = static_cast<uint32_t>(1000 * now);
  }
  r.tokens = 100'000;
  traffic.requests = {r};
  return traffic;
}

struct Repaired {
  double worst_before = 0, worst_after = 0;  // GPU load
  size_t moved = 0, slots = 0;
};

SolveResult Balance(const Problem& problem, double max_moved_fraction) {
  SolveParams params;
  params.objective = Objective::kBalance;
  params.max_moved_fraction = max_moved_fraction;
  InlineParallelFor inline_parallel;
  absl::StatusOr<SolveResult> result = Solve(problem, params, inline_parallel);
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

double WorstGpuLoad(const Problem& problem, const SolveResult& result) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  plan.remote_choice = result.remote_choice;
  return Evaluate(plan, problem.traffic, result.homes, {})->gpu_load.worst;
}

// Balances, then repairs for what the traffic has become.
Repaired RepairAfter(uint64_t seed, double drift, double max_moved_fraction) {
  Problem problem;
  problem.model = SmallModel(3, 64, 4);
  problem.topology = *Topology::Uniform(1, 8, 10);
  problem.traffic = MakeSums(problem.model, seed, 0);
  problem.in_force = Balance(problem, 1).placement;
  problem.traffic = MakeSums(problem.model, seed, drift);
  Repaired out;
  out.worst_before = WorstGpuLoad(problem, Balance(problem, 0));
  const SolveResult result = Balance(problem, max_moved_fraction);
  out.worst_after = WorstGpuLoad(problem, result);
  out.moved =
      MovesBetween(problem.model, problem.topology, *problem.in_force, result.placement).size();
  out.slots = 3 * 80;
  return out;
}

TEST(LoadLevelingTest, UnchangedTrafficMovesNothing) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Repaired r = RepairAfter(seed, 0, 0.5);
    EXPECT_EQ(r.moved, 0u) << "seed " << seed;
    EXPECT_LT(r.worst_after, 1.01);
  }
}

TEST(LoadLevelingTest, FewMovesRepairADrift) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const Repaired r = RepairAfter(seed, 0.3, 0.1);
    EXPECT_LE(r.moved, r.slots / 10);
    EXPECT_GT(r.worst_before, 1.08) << "seed " << seed;
    EXPECT_LT(r.worst_after - 1, (r.worst_before - 1) / 2) << "seed " << seed;
  }
}

TEST(LoadLevelingTest, LevelsTwoGpusByOneSwap) {
  Problem problem;
  problem.model = SmallModel(1, 4, 1);
  problem.topology = *Topology::Uniform(1, 2, 2);
  problem.traffic.model = problem.model;
  Request r;
  r.id = "all";
  r.tokens = 100;
  r.counts = {40, 35, 15, 10};
  problem.traffic.requests = {r};
  problem.in_force = Placement(1, 4);
  const std::vector<int16_t> row = {0, 1, 2, 3};
  std::copy(row.begin(), row.end(), problem.in_force->row(LayerId(0)).begin());
  const SolveResult result = Balance(problem, 0.5);
  // 40 + 10 beside 35 + 15: two slots moved.
  EXPECT_DOUBLE_EQ(WorstGpuLoad(problem, result), 1);
  EXPECT_EQ(
      MovesBetween(problem.model, problem.topology, *problem.in_force, result.placement).size(),
      2u);
}

}  // namespace
}  // namespace advisor
