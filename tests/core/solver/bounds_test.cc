#include "core/solver/bounds.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;

// Calls `visit` with every placement row that fills every slot or leaves it empty and holds every
// expert.
void ForEveryRow(const ModelSpec& model, const Topology& topology,
                 const std::function<void(const Placement&)>& visit) {
  Placement placement(1, topology.slot_count());
  const auto fill = [&](auto&& self, int slot) -> void {
    if (slot == topology.slot_count()) {
      if (ValidatePlacement(model, topology, placement, {}).ok()) {
        visit(placement);
      }
      return;
    }
    for (int e = -1; e < model.experts; ++e) {
      placement.cells()[slot] = static_cast<int16_t>(e);
      self(self, slot + 1);
    }
  };
  fill(fill, 0);
}

// Calls `visit` with every remote choice among the holders of `placement`.
void ForEveryChoice(const ModelSpec& model, const Topology& topology, const Placement& placement,
                    const std::function<void(const RemoteChoice&)>& visit) {
  const ServeTable serve(model, topology, placement, {});
  RemoteChoice choice(1, topology.node_count(), model.experts);
  const auto fill = [&](auto&& self, size_t cell) -> void {
    if (cell == choice.cells().size()) {
      visit(choice);
      return;
    }
    const uint64_t holders = serve.Holders(0, static_cast<int>(cell) % model.experts);
    const int home = static_cast<int>(cell) / model.experts;
    for (int n = 0; n < topology.node_count(); ++n) {
      // One entry is enough where there is nothing to choose.
      const bool free = !(holders >> home & 1);
      if (free ? (holders >> n & 1) : n == 0) {
        choice.cells()[cell] = static_cast<int16_t>(free ? n : kRingOrder);
        self(self, cell + 1);
      }
    }
  };
  fill(fill, 0);
}

struct Least {
  double visits = 1e9, remote = 1e9, node_load = 1e9, gpu_load = 1e9, moe_ms = 1e9;
};

Least BruteForce(const Problem& problem, const std::vector<NodeId>& homes, PhaseFilter phase) {
  Least least;
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  ForEveryRow(problem.model, problem.topology, [&](const Placement& placement) {
    plan.placement = placement;
    ForEveryChoice(problem.model, problem.topology, placement, [&](const RemoteChoice& choice) {
      plan.remote_choice = choice;
      for (Dispatch dispatch : {Dispatch::kTable, Dispatch::kCover}) {
        const Figures f =
            *Evaluate(plan, problem.traffic, homes, {phase, dispatch, problem.time_model});
        least.moe_ms = std::min(least.moe_ms, f.modelled_moe_ms_per_step.value_or(0));
        least.visits = std::min(least.visits, f.remote_visits_per_token_layer.value_or(0));
        least.remote = std::min(least.remote, f.remote_activation_ratio);
        least.node_load = std::min(least.node_load, f.node_load.mean);
        least.gpu_load = std::min(least.gpu_load, f.gpu_load.mean);
      }
    });
  });
  return least;
}

void ExpectBelow(const Problem& problem, const std::vector<NodeId>& homes, PhaseFilter phase) {
  InlineParallelFor parallel;
  SolveParams params;
  params.phase = phase;
  const Bounds bounds = LowerBounds(problem, params, homes, parallel);
  const Least least = BruteForce(problem, homes, phase);
  ASSERT_TRUE(bounds.remote_activation_ratio.has_value());
  EXPECT_NEAR(*bounds.remote_activation_ratio, least.remote, 1e-9);  // the exact optimum
  EXPECT_LE(bounds.remote_visits_per_token_layer.value_or(0), least.visits + 1e-9);
  EXPECT_LE(*bounds.node_load_mean, least.node_load + 1e-9);
  EXPECT_LE(*bounds.gpu_load_mean, least.gpu_load + 1e-9);
  EXPECT_LE(bounds.modelled_moe_ms_per_step.value_or(0), least.moe_ms * (1 + 1e-9));
  if (problem.model.top_k == 1 && bounds.remote_visits_per_token_layer.has_value()) {
    EXPECT_NEAR(*bounds.remote_visits_per_token_layer, least.visits, 1e-9);
  }
}

Problem TinyProblem(int experts, int top_k, Topology topology, uint64_t seed,
                    std::vector<NodeId>* homes) {
  Rng rng(seed);
  Problem problem;
  problem.model = SmallModel(1, experts, top_k);
  problem.topology = std::move(topology);
  problem.traffic = RandomTraffic(problem.model, 5, 2, &rng);
  problem.traffic.requests[1].weight = 2;
  problem.time_model = TimeModel{1 + double(seed % 3), 10, 20};
  homes->clear();
  for (int i = 0; i < 5; ++i) {
    homes->push_back(NodeId(static_cast<int>(rng.Below(problem.topology.node_count()))));
  }
  return problem;
}

TEST(LowerBoundsTest, NoPlacementIsBelow) {
  std::vector<NodeId> homes;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    for (int top_k : {1, 2, 3}) {
      ExpectBelow(TinyProblem(4, top_k, *Topology::Uniform(2, 1, 2), seed, &homes), homes,
                  PhaseFilter::kDecode);
      ExpectBelow(TinyProblem(3, top_k, *Topology::Uniform(2, 2, 1), seed, &homes), homes,
                  PhaseFilter::kAll);
      ExpectBelow(
          TinyProblem(3, top_k,
                      *Topology::Create({{"a", 1, 2, ""}, {"b", 2, 1, ""}, {"c", 1, 1, ""}}), seed,
                      &homes),
          homes, PhaseFilter::kPrefill);
    }
    Problem mixed = TinyProblem(4, 2, *Topology::Uniform(2, 1, 3), seed, &homes);
    mixed.traffic.requests[2] = SumsOf(mixed.model, mixed.traffic.requests[2]);
    ExpectBelow(mixed, homes, PhaseFilter::kDecode);
    for (Request& r : mixed.traffic.requests) {
      r = r.counts_only() ? r : SumsOf(mixed.model, r);
    }
    ExpectBelow(mixed, homes, PhaseFilter::kDecode);
  }
}

TEST(LowerBoundsTest, AHotExpertBoundsTheLoad) {
  Problem problem;
  problem.model = SmallModel(1, 4, 1);
  problem.topology = *Topology::Uniform(2, 2, 2);
  problem.traffic.model = problem.model;
  Request r;
  r.id = "sums";
  r.tokens = 100;
  r.counts = {70, 10, 10, 10};
  problem.traffic.requests.push_back(r);
  InlineParallelFor parallel;
  const Bounds bounds = LowerBounds(problem, {}, {NodeId(0)}, parallel);
  // At best four copies, one per GPU, of 17.5 each, below the mean of 25.
  EXPECT_DOUBLE_EQ(*bounds.gpu_load_mean, 1);
  problem.topology = *Topology::Uniform(2, 2, 1);
  const Bounds tight = LowerBounds(problem, {}, {NodeId(0)}, parallel);
  EXPECT_DOUBLE_EQ(*tight.gpu_load_mean, 70 / 25.0);
  EXPECT_DOUBLE_EQ(*tight.node_load_mean, 70 / 2 / 25.0);
  EXPECT_FALSE(tight.remote_visits_per_token_layer.has_value());
}

TEST(LowerBoundsTest, OneNodeOrNoTraffic) {
  std::vector<NodeId> homes;
  InlineParallelFor parallel;
  Problem problem = TinyProblem(4, 2, *Topology::Uniform(1, 2, 2), 1, &homes);
  EXPECT_EQ(LowerBounds(problem, {}, homes, parallel).remote_visits_per_token_layer, 0.0);
  problem.traffic.requests.clear();
  EXPECT_EQ(LowerBounds(problem, {}, {}, parallel), Bounds());
}

// On problems small enough to look at every placement: bound <= optimum <= result, for the grouping
// that the result has, and what is stated as the gap is the distance to the bound.
TEST(GapRatioTest, BoundOptimumAndResultStandInOrder) {
  double sum_of_gaps = 0, sum_of_true_gaps = 0;
  int results = 0;
  for (const Objective objective :
       {Objective::kInternodeBytes, Objective::kBalance, Objective::kLatency}) {
    for (uint64_t seed = 1; seed <= 6; ++seed) {
      SCOPED_TRACE(std::string(ToString(objective)) + ", seed " + std::to_string(seed));
      std::vector<NodeId> homes;
      const Problem problem =
          TinyProblem(4, 2, *Topology::Uniform(2, 1, seed % 2 == 0 ? 2 : 3), seed, &homes);
      InlineParallelFor parallel;
      SolveParams params;
      params.objective = objective;
      params.phase = PhaseFilter::kDecode;
      params.node_load_cap = params.gpu_load_cap = 4;  // bind nothing
      ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, params, parallel));
      Plan plan;
      plan.model = problem.model;
      plan.topology = problem.topology;
      plan.placement = result.placement;
      plan.remote_choice = result.remote_choice;
      const Figures f = *Evaluate(plan, problem.traffic, result.homes,
                                  {params.phase, params.dispatch, problem.time_model});
      const Least least = BruteForce(problem, result.homes, params.phase);
      double bound = 0, optimum = 0, value = 0;
      if (objective == Objective::kInternodeBytes) {
        bound = *result.bounds.remote_visits_per_token_layer;
        optimum = least.visits;
        value = *f.remote_visits_per_token_layer;
      } else if (objective == Objective::kBalance) {
        bound = *result.bounds.gpu_load_mean;
        optimum = least.gpu_load;
        value = f.gpu_load.mean;
      } else {
        bound = *result.bounds.modelled_moe_ms_per_step;
        optimum = least.moe_ms;
        value = *f.modelled_moe_ms_per_step;
      }
      EXPECT_LE(bound, optimum * (1 + 1e-9));
      EXPECT_LE(optimum, value * (1 + 1e-9));
      EXPECT_LE(value, 1.15 * optimum);
      ASSERT_TRUE(result.bounds.gap_ratio.has_value());
      EXPECT_NEAR(*result.bounds.gap_ratio, value > 0 ? (value - bound) / value : 0, 1e-9);
      sum_of_gaps += *result.bounds.gap_ratio;
      sum_of_true_gaps += value > 0 ? (value - optimum) / value : 0;
      ++results;
    }
  }
  std::printf("mean gap stated %.3f, to the optimum %.3f\n", sum_of_gaps / results,
              sum_of_true_gaps / results);
}

TEST(GapRatioTest, IsTheShareAboveTheBoundOfTheObjective) {
  std::vector<NodeId> homes;
  const Problem problem = TinyProblem(4, 2, *Topology::Uniform(2, 1, 2), 3, &homes);
  InlineParallelFor parallel;
  SolveParams params;
  params.method = Method::kLinear;
  ASSERT_OK_AND_ASSIGN(const Plan plan,
                       SolvePlan(problem, problem.traffic, params, nullptr, parallel));
  EXPECT_NEAR(*plan.bounds.gap_ratio,
              1 - *plan.bounds.remote_visits_per_token_layer /
                      *plan.predicted->fit->remote_visits_per_token_layer,
              1e-9);
  params.objective = Objective::kBalance;
  ASSERT_OK_AND_ASSIGN(const Plan balance,
                       SolvePlan(problem, problem.traffic, params, nullptr, parallel));
  EXPECT_NEAR(*balance.bounds.gap_ratio,
              1 - *balance.bounds.gpu_load_mean / balance.predicted->fit->gpu_load.mean, 1e-9);
  EXPECT_FALSE(balance.bounds.remote_visits_per_token_layer.has_value());
}

}  // namespace
}  // namespace advisor
