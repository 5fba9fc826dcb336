// How gently the saving falls when traffic or topology are not as joint would have them. Every case
// is judged on requests that the solver has not seen; docs/results.md has the figures.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/rng.h"
#include "core/model/topology.h"
#include "core/solver/moves.h"
#include "core/solver/solver.h"
#include "tests/support/halves.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::Halves;
using ::advisor::testing::Judge;
using ::advisor::testing::MustPlan;
using ::advisor::testing::PresetHalves;
using ::advisor::testing::ProblemOn;
using ::advisor::testing::StatusIs;

constexpr int kLayers = 12;

SolveParams Quick() {
  SolveParams params;
  params.effort = Effort::kQuick;
  params.phase = PhaseFilter::kDecode;
  return params;
}

Figures Report(const char* what, const Figures& figures) {
  std::printf("%s: saves %.1f %%, node load %.3f, GPU load %.3f\n", what,
              100 * *figures.saving_ratio, figures.node_load.mean, figures.gpu_load.mean);
  return figures;
}

Figures SolveAndJudge(const char* what, const Halves& halves, const Topology& topology) {
  const Plan plan = MustPlan(ProblemOn(halves.train, topology), Quick());
  return Report(what, Judge(plan, halves.holdout, PhaseFilter::kDecode));
}

class RobustnessTest : public ::testing::Test {
 protected:
  static constexpr int kRequests = 240;

  // Applies `relabel` to every request of both halves.
  template <typename Relabel>
  Halves Relabelled(Relabel relabel) const {
    Halves halves = halves_;
    Rng rng(7);
    for (Traffic* traffic : {&halves.train, &halves.holdout}) {
      for (Request& request : traffic->requests) {
        relabel(request, rng);
      }
    }
    return halves;
  }

  const Halves halves_ = PresetHalves("deepseek-v2-lite", kLayers, kRequests, 60);
  const Topology topology_ = *Topology::Uniform(4, 2, 8);
};

TEST_F(RobustnessTest, LabelsThatAreMissingWrongOrTwinned) {
  const double right = *SolveAndJudge("right labels", halves_, topology_).saving_ratio;
  const Halves empty = Relabelled([](Request& r, Rng&) { r.domain.clear(); });
  EXPECT_GE(*SolveAndJudge("empty labels", empty, topology_).saving_ratio, right - 0.015);
  const std::vector<Request>& any = halves_.train.requests;
  const Halves wrong = Relabelled([&any](Request& r, Rng& rng) {
    if (rng.Below(10) == 0) {
      r.domain = any[rng.Below(static_cast<uint32_t>(any.size()))].domain;
    }
  });
  EXPECT_GE(*SolveAndJudge("10 % of labels shuffled", wrong, topology_).saving_ratio,
            right - 0.015);
  const Halves twins =
      Relabelled([](Request& r, Rng& rng) { absl::StrAppend(&r.domain, rng.Below(2)); });
  EXPECT_GE(*SolveAndJudge("every domain under two labels", twins, topology_).saving_ratio,
            right - 0.015);
}

TEST_F(RobustnessTest, OneDominantDomain) {
  // Nine tenths of the requests: homes cannot follow domains.
  Halves halves = PresetHalves("deepseek-v2-lite", kLayers, 3 * kRequests, 60);
  const std::string first = halves.train.requests.front().domain;
  for (Traffic* traffic : {&halves.train, &halves.holdout}) {
    int others = 0;
    std::vector<Request>& list = traffic->requests;
    list.erase(
        std::remove_if(list.begin(), list.end(),
                       [&](const Request& r) { return r.domain != first && ++others % 27 != 0; }),
        list.end());
  }
  const Figures figures = SolveAndJudge("one dominant domain", halves, topology_);
  EXPECT_GE(*figures.saving_ratio, 0.20);
  EXPECT_LE(figures.node_load.mean, 1.20);
  EXPECT_LE(figures.home_token_max_over_mean, 1.30);  // of 100 requests one has 177 tokens
}

TEST_F(RobustnessTest, ADomainNeverSeen) {
  Halves halves = halves_;
  const std::string unseen = halves.train.requests.front().domain;
  std::vector<Request>& train = halves.train.requests;
  train.erase(std::remove_if(train.begin(), train.end(),
                             [&](const Request& r) { return r.domain == unseen; }),
              train.end());
  const Plan plan = MustPlan(ProblemOn(halves.train, topology_), Quick());
  EXPECT_GE(
      *Report("all, with a domain never seen", Judge(plan, halves.holdout, PhaseFilter::kDecode))
           .saving_ratio,
      0.18);
  std::vector<Request>& holdout = halves.holdout.requests;
  holdout.erase(std::remove_if(holdout.begin(), holdout.end(),
                               [&](const Request& r) { return r.domain != unseen; }),
                holdout.end());
  EXPECT_GE(
      *Report("the domain never seen alone", Judge(plan, halves.holdout, PhaseFilter::kDecode))
           .saving_ratio,
      0.05);
}

TEST_F(RobustnessTest, UnequalNodes) {
  const Topology gpus = *Topology::Create(
      {{"big", 4, 10, ""}, {"small", 2, 10, ""}, {"smaller", 1, 10, ""}, {"other", 1, 10, ""}});
  const Topology slots =
      *Topology::Create({{"roomy", 2, 14, ""}, {"a", 2, 8, ""}, {"b", 2, 6, ""}, {"c", 2, 8, ""}});
  for (const auto& [what, topology] :
       {std::pair{"unequal GPUs", &gpus}, std::pair{"unequal slots", &slots}}) {
    SolveParams params = Quick();
    params.effort = Effort::kStandard;  // sees every token, as the caps must
    const Plan plan = MustPlan(ProblemOn(halves_.train, *topology), params);
    const Figures figures = Report(what, Judge(plan, halves_.holdout, PhaseFilter::kDecode));
    EXPECT_GE(*figures.saving_ratio, 0.20) << what;
    EXPECT_LE(figures.node_load.mean, 1.20) << what;
    EXPECT_LE(plan.predicted->layers_over_cap.size(), size_t{2}) << what;
  }
}

// A repair of a plan on 4 nodes for a topology of other nodes: what is left of the saving.
Plan Repaired(const Halves& halves, const Topology& from, const Topology& to, double budget) {
  const Plan before = MustPlan(ProblemOn(halves.train, from), Quick());
  Problem problem = ProblemOn(halves.train, to);
  problem.in_force = CarryOver(from, to, before.placement);
  SolveParams params = Quick();
  params.max_moved_fraction = budget;
  const Plan after = MustPlan(problem, params);
  EXPECT_LE(double(MovedSlots(to, *problem.in_force, after.placement)),
            budget * kLayers * to.slot_count());
  return after;
}

TEST_F(RobustnessTest, ANodeLeavesOrJoins) {
  const std::vector<NodeSpec> all = {
      {"a", 2, 10, ""}, {"b", 2, 10, ""}, {"c", 2, 10, ""}, {"d", 2, 12, ""}, {"e", 2, 10, ""}};
  const Topology four = *Topology::Create({all[0], all[1], all[2], all[3]});
  const Topology left = *Topology::Create({all[0], all[1], all[3]});
  const Topology joined = *Topology::Create(all);
  const double cold = *SolveAndJudge("three nodes, solved anew", halves_, left).saving_ratio;
  const Figures three =
      Report("a node of four left, at most 40 % of slots moved",
             Judge(Repaired(halves_, four, left, 0.4), halves_.holdout, PhaseFilter::kDecode));
  EXPECT_GE(*three.saving_ratio, 0.5 * cold);
  EXPECT_LE(three.node_load.mean, 1.25);
  const double five_cold = *SolveAndJudge("five nodes, solved anew", halves_, joined).saving_ratio;
  const Figures five =
      Report("a fifth node joined, at most 40 % of slots moved",
             Judge(Repaired(halves_, four, joined, 0.4), halves_.holdout, PhaseFilter::kDecode));
  EXPECT_GE(*five.saving_ratio, 0.5 * five_cold);
  EXPECT_LE(five.node_load.mean, 1.25);
}

TEST_F(RobustnessTest, TooFewSlotsAreRefusedWithTheNumberMissing) {
  InlineParallelFor inline_parallel;
  for (Method method : {Method::kJoint, Method::kGreedyCoactivation, Method::kLinear}) {
    SolveParams params = Quick();
    params.method = method;
    const Problem problem = ProblemOn(halves_.train, *Topology::Uniform(4, 2, 7));
    EXPECT_THAT(Solve(problem, params, inline_parallel).status(),
                StatusIs(absl::StatusCode::kFailedPrecondition,
                         ::testing::HasSubstr("8 slots are missing")));
  }
}

}  // namespace
}  // namespace advisor
