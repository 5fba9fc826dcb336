#ifndef ADVISOR_TESTS_SUPPORT_HALVES_H_
#define ADVISOR_TESTS_SUPPORT_HALVES_H_

#include <string>
#include <utility>

#include "core/base/parallel.h"
#include "core/cost/evaluate.h"
#include "core/grouping/assigner.h"
#include "core/solver/solver.h"
#include "core/synth/generator.h"
#include "gtest/gtest.h"

namespace advisor::testing {

// Traffic to solve on, and traffic that the solver does not see.
struct Halves {
  Traffic train, holdout;
};

// Every second request is held out.
inline Halves Alternating(const Traffic& traffic) {
  Halves halves;
  halves.train.model = halves.holdout.model = traffic.model;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    (i % 2 == 0 ? halves.train : halves.holdout).requests.push_back(traffic.requests[i]);
  }
  return halves;
}

// `layers`: the preset's model cut down to so many; 0: all of them.
inline Halves PresetHalves(const std::string& preset, int layers, int requests, int tokens,
                           uint64_t seed = 1) {
  GeneratorOptions options = *Preset(preset);
  if (layers > 0) {
    options.model.moe_layers = layers;
    options.model.moe_layer_indices.clear();
    options.model.first_moe_layer = 0;
    options.model.hidden_layers = layers;
  }
  options.requests = requests;
  options.tokens = tokens;
  options.seed = seed;
  absl::StatusOr<Traffic> traffic = Generate(options);
  EXPECT_TRUE(traffic.ok()) << traffic.status();
  return Alternating(*traffic);
}

inline Problem ProblemOn(const Traffic& train, Topology topology) {
  Problem problem;
  problem.model = train.model;
  problem.topology = std::move(topology);
  problem.traffic = train;
  return problem;
}

inline Plan MustPlan(const Problem& problem, const SolveParams& params) {
  InlineParallelFor inline_parallel;
  Traffic none;
  none.model = problem.model;
  absl::StatusOr<Plan> plan = SolvePlan(problem, none, params, nullptr, inline_parallel);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

// On requests placed one by one.
inline Figures Judge(const Plan& plan, const Traffic& holdout, PhaseFilter phase,
                     Dispatch dispatch = Dispatch::kTable) {
  absl::StatusOr<Figures> figures =
      EvaluateWithBaseline(plan, holdout, AssignInOrder(plan, holdout), {phase, dispatch});
  EXPECT_TRUE(figures.ok()) << figures.status();
  return *std::move(figures);
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_HALVES_H_
