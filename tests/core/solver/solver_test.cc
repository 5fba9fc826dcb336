#include "core/solver/solver.h"

#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Problem SmallProblem() {
  Rng rng(6);
  Problem problem;
  problem.model = SmallModel(2, 8, 2);
  problem.topology = *Topology::Uniform(2, 2, 3);
  problem.traffic = RandomTraffic(problem.model, 12, 2, &rng);
  return problem;
}

SolveParams Linear() {
  SolveParams params;
  params.method = Method::kLinear;
  return params;
}

TEST(SolveTest, LinearIsTheContractsBaseline) {
  const Problem problem = SmallProblem();
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, Linear(), parallel));
  EXPECT_EQ(result.placement, LinearPlacement(problem.model, problem.topology));
  EXPECT_EQ(result.homes, DealRoundRobin(12, 2));
  EXPECT_TRUE(result.remote_choice.empty());
  EXPECT_TRUE(result.grouping.empty());
}

TEST(SolveTest, NamesTheLayersOverACap) {
  Problem problem = SmallProblem();
  // All traffic of layer 1 goes to expert 0; layer 0 is perfectly even.
  problem.traffic.requests.clear();
  Request r;
  r.id = "sums";
  r.tokens = 8;
  r.counts = {2, 2, 2, 2, 2, 2, 2, 2, 8, 8, 0, 0, 0, 0, 0, 0};
  problem.traffic.requests.push_back(r);
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, Linear(), parallel));
  EXPECT_THAT(result.layers_over_cap, ElementsAre(1));
  SolveParams loose = Linear();
  loose.node_load_cap = 2;
  loose.gpu_load_cap = 4;
  ASSERT_OK_AND_ASSIGN(const SolveResult within, Solve(problem, loose, parallel));
  EXPECT_THAT(within.layers_over_cap, ElementsAre());
}

TEST(SolveTest, RefusesMalformedProblems) {
  InlineParallelFor parallel;
  const auto refused = [&](const Problem& problem, const SolveParams& params) {
    return Solve(problem, params, parallel).status();
  };
  Problem p = SmallProblem();
  p.topology = *Topology::Uniform(1, 1, 5);
  EXPECT_THAT(refused(p, Linear()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("3 slots are missing")));
  p = SmallProblem();
  p.traffic.model.experts = 9;
  EXPECT_THAT(refused(p, Linear()), StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("[2, 9, 2], the model [2, 8, 2]")));
  p = SmallProblem();
  p.traffic.requests[3].experts.pop_back();
  EXPECT_THAT(refused(p, Linear()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("request \"r3\"")));
  p = SmallProblem();
  p.traffic.requests[4].experts[7] = 8;
  EXPECT_THAT(refused(p, Linear()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("request \"r4\": expert 8, must be below 8")));
  p = SmallProblem();
  p.in_force = Placement(2, 8);
  EXPECT_THAT(refused(p, Linear()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("[2, 8], must be [layers, slots] = [2, 12]")));
  SolveParams params = Linear();
  params.node_load_cap = 0.9;
  EXPECT_THAT(refused(SmallProblem(), params),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("load cap is 0.9")));
  params = Linear();
  params.objective = Objective::kLatency;
  EXPECT_THAT(refused(SmallProblem(), params),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("time_model")));
}

TEST(NamesTest, ParseWhatTheyPrint) {
  for (Method m : {Method::kJoint, Method::kLinear, Method::kEplb, Method::kPaper,
                   Method::kGreedyCoactivation}) {
    EXPECT_EQ(ParseMethod(ToString(m)), m);
  }
  for (Objective o : {Objective::kInternodeBytes, Objective::kBalance, Objective::kLatency}) {
    EXPECT_EQ(ParseObjective(ToString(o)), o);
  }
  for (Effort e : {Effort::kQuick, Effort::kStandard, Effort::kThorough}) {
    EXPECT_EQ(ParseEffort(ToString(e)), e);
  }
  EXPECT_EQ(ParseMethod("Joint"), std::nullopt);
}

}  // namespace
}  // namespace advisor
