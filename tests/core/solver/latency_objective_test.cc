// Objective latency on requests that the solver has not seen: it must leave a clearly lower
// modelled time than plans made for bytes or for balance.
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "core/exec/thread_pool.h"
#include "core/io/trace.h"
#include "core/solver/solver.h"
#include "core/synth/generator.h"
#include "tests/support/halves.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::Alternating;
using ::advisor::testing::Halves;
using ::advisor::testing::ProblemOn;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;

// Links and experts weigh about the same on these models.
constexpr TimeModel kTime = {50, 450, 100};

Problem TimedProblem(const Traffic& train, Topology topology) {
  Problem problem = ProblemOn(train, std::move(topology));
  problem.time_model = kTime;
  return problem;
}

Figures Held(const Problem& problem, const Traffic& holdout, Objective objective) {
  InlineParallelFor parallel;
  SolveParams params;
  params.effort = Effort::kQuick;
  params.phase = PhaseFilter::kDecode;
  params.objective = objective;
  absl::StatusOr<Plan> plan = SolvePlan(problem, holdout, params, nullptr, parallel);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return plan->predicted->figures;
}

void ExpectFasterThanOtherObjectives(const Traffic& all, Topology topology, double by) {
  const Halves halves = Alternating(all);
  const Problem problem = TimedProblem(halves.train, std::move(topology));
  const Figures latency = Held(problem, halves.holdout, Objective::kLatency);
  for (Objective other : {Objective::kInternodeBytes, Objective::kBalance}) {
    SCOPED_TRACE(ToString(other));
    const Figures figures = Held(problem, halves.holdout, other);
    EXPECT_LT(*latency.modelled_moe_ms_per_step, (1 - by) * *figures.modelled_moe_ms_per_step);
    EXPECT_GT(*latency.modelled_gpu_utilisation, *figures.modelled_gpu_utilisation);
  }
  EXPECT_LT(*latency.modelled_moe_ms_per_step,
            (1 - 2 * by) * *latency.modelled_baseline_moe_ms_per_step);
}

// The first `layers` of a trace: what holds for a few holds for all.
Traffic FirstLayers(Traffic all, int layers) {
  ModelSpec model = all.model;
  model.moe_layers = layers;
  model.moe_layer_indices.clear();
  for (Request& r : all.requests) {
    std::vector<uint16_t> kept;
    for (int t = 0; t < r.tokens; ++t) {
      const uint16_t* from = r.token(all.model, t, 0);
      kept.insert(kept.end(), from, from + size_t(layers) * model.top_k);
    }
    r.experts = std::move(kept);
  }
  all.model = model;
  return all;
}

TEST(LatencyObjectiveTest, IsFasterOnPresets) {
  for (const auto& [preset, slots] : {std::pair{"deepseek-v2-lite", 10}, {"gpt-oss-20b", 5}}) {
    SCOPED_TRACE(preset);
    ASSERT_OK_AND_ASSIGN(GeneratorOptions options, Preset(preset));
    options.requests = 400;
    options.tokens = 60;
    ASSERT_OK_AND_ASSIGN(const Traffic all, Generate(options));
    ExpectFasterThanOtherObjectives(FirstLayers(all, 4), *Topology::Uniform(4, 2, slots), 0.05);
  }
}

TEST(LatencyObjectiveTest, IsFasterOnRealTraces) {
  const char* folder = std::getenv("ADVISOR_TRACES");
  if (folder == nullptr) {
    GTEST_SKIP() << "ADVISOR_TRACES is not set: no real traces";
  }
  for (const auto& [name, slots] : {std::pair{"deepseek-v2-lite", 10}, {"gpt-oss-20b", 5}}) {
    SCOPED_TRACE(name);
    ASSERT_OK_AND_ASSIGN(const Traffic all,
                         ReadTrace(std::string(folder) + "/" + name + ".jsonl.gz"));
    ExpectFasterThanOtherObjectives(FirstLayers(all, 4), *Topology::Uniform(4, 2, slots), 0.03);
  }
}

TEST(LatencyObjectiveTest, RepairsWithinABudget) {
  Rng rng(1);
  Problem problem =
      TimedProblem(RandomTraffic(SmallModel(4, 16, 3), 40, 4, &rng), *Topology::Uniform(4, 2, 3));
  problem.in_force = LinearPlacement(problem.model, problem.topology);
  InlineParallelFor parallel;
  SolveParams params;
  params.effort = Effort::kQuick;
  params.objective = Objective::kLatency;
  params.max_moved_fraction = 0.2;
  ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, params, parallel));
  const int64_t moved = MovedSlots(problem.topology, *problem.in_force, result.placement);
  EXPECT_GT(moved, 0);
  EXPECT_LE(moved, 0.2 * 4 * 24);
}

TEST(LatencyObjectiveTest, NeedsATimeModelAndBytes) {
  Rng rng(2);
  Problem problem =
      TimedProblem(RandomTraffic(SmallModel(1, 8, 2), 4, 2, &rng), *Topology::Uniform(2, 1, 4));
  InlineParallelFor parallel;
  SolveParams params;
  params.objective = Objective::kLatency;
  problem.model.hidden_size = problem.traffic.model.hidden_size = 0;
  EXPECT_THAT(Solve(problem, params, parallel).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("hidden_size")));
  problem.time_model.reset();
  EXPECT_THAT(Solve(problem, params, parallel).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("time_model")));
}

}  // namespace
}  // namespace advisor
