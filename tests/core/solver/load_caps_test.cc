#include "core/solver/load_caps.h"

#include <algorithm>

#include "core/base/rng.h"
#include "core/cost/evaluate.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

Problem MakeProblem() {
  Rng rng(5);
  Problem problem;
  problem.model = SmallModel(3, 12, 2);
  problem.topology = *Topology::Create({{"a", 2, 4, ""}, {"b", 1, 5, ""}, {"c", 1, 5, ""}});
  problem.traffic = RandomTraffic(problem.model, 12, 3, &rng);
  problem.traffic.requests[3].weight = 2.5;
  return problem;
}

// 1 + 0.4 x what linear, played as a plan, has above the mean, in the phase where that is less;
// never below 1.07, nor above what was asked for.
double Want(const Problem& problem, double asked, double (*load)(const Figures&)) {
  double cap = asked;
  for (PhaseFilter phase : {PhaseFilter::kPrefill, PhaseFilter::kDecode}) {
    const Figures linear =
        *EvaluateLinearBaseline(problem.model, problem.topology, problem.traffic, phase);
    cap = std::min(cap, std::max(1.07, 1 + 0.4 * (load(linear) - 1)));
  }
  return cap;
}

TEST(LoadCapsTest, ServingBothPhasesNoneIsLooserThanLinearAllows) {
  const Problem problem = MakeProblem();
  InlineParallelFor one_by_one;
  SolveParams params;
  params.phase = PhaseFilter::kAll;
  for (const double asked : {1.02, 5.0}) {
    params.node_load_cap = params.gpu_load_cap = asked;
    const LoadCaps caps = LoadCapsOf(problem, params, one_by_one);
    EXPECT_NEAR(caps.node, Want(problem, asked, [](const Figures& f) { return f.node_load.mean; }),
                1e-12);
    EXPECT_NEAR(caps.gpu, Want(problem, asked, [](const Figures& f) { return f.gpu_load.mean; }),
                1e-12);
  }
}

TEST(LoadCapsTest, ServingOnePhaseTheyAreWhatIsAskedFor) {
  const Problem problem = MakeProblem();
  InlineParallelFor one_by_one;
  SolveParams params;
  params.phase = PhaseFilter::kDecode;
  params.node_load_cap = 3;
  params.gpu_load_cap = 4;
  const LoadCaps caps = LoadCapsOf(problem, params, one_by_one);
  EXPECT_EQ(caps.node, 3);
  EXPECT_EQ(caps.gpu, 4);
}

}  // namespace
}  // namespace advisor
