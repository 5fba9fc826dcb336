#include "core/grouping/microbatcher.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/cost/evaluate.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomRequest;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

Grouping Shape(const ModelSpec& model, int nodes) {
  Grouping g;
  g.layers = model.moe_layers;
  g.experts = model.experts;
  g.nodes = nodes;
  g.bias.assign(nodes, 0);
  g.affinity.assign(size_t(g.layers) * g.experts * nodes, 0);
  g.node_share.assign(nodes, 1.0f / static_cast<float>(nodes));
  return g;
}

Plan PlanOf(const ModelSpec& model, int nodes) {
  Plan plan;
  plan.model = model;
  plan.topology = *Topology::Uniform(nodes, 1, model.experts);
  plan.grouping = Shape(model, nodes);
  return plan;
}

TEST(MicrobatchProfileTest, NewExpertsIsWhatIsAddedToTokensLikeTheProfile) {
  MicrobatchProfile profile(1, 4);
  const Prompt first = {"", 10, {{0, 0, 10}, {0, 1, 5}}};
  EXPECT_DOUBLE_EQ(profile.NewExperts(first), 1.5);  // nothing there yet: all are new
  profile.Add(first, 0.5f);
  profile.Add({"", 4, {{0, 1, 4}}}, 0.5f);
  // Shares: expert 0 has 0.5 of 1.5 requests, expert 1 has 0.5 * 0.5 + 1.
  const double q0 = 0.5 / 1.5, q1 = 1.25 / 1.5;
  EXPECT_NEAR(profile.NewExperts(first), std::pow(1 - q0, 8) + 0.5 * std::pow(1 - q1, 8), 1e-6);
  EXPECT_EQ(profile.NewExperts({"", 1, {{0, 3, 1}}}), 1);
  EXPECT_EQ(profile.NewExperts({"", 0, {}}), 0);
  EXPECT_EQ(profile.NewExperts({"", 1, {{1, 0, 1}, {0, 4, 1}}}), 0);  // outside the shape
}

TEST(MicrobatcherTest, StaysBalancedWhenAllRequestsAreAlike) {
  const ModelSpec model = SmallModel(2, 8, 2);
  Microbatcher microbatcher(Shape(model, 2), 3);
  const Prompt prompt = {"", 2, {{0, 1, 2}, {0, 2, 2}, {1, 1, 2}, {1, 7, 2}}};
  std::vector<double> load(6, 0);
  for (int i = 0; i < 120; ++i) {
    const double tokens = 1 + i % 5;
    const int node = i % 2;
    const Microbatch m = microbatcher.Place(NodeId(node), prompt, tokens);
    ASSERT_GE(m, 0);
    ASSERT_LT(m, 3);
    load[node * 3 + m] += tokens;
  }
  for (int node = 0; node < 2; ++node) {
    const double* of_node = &load[node * 3];
    const double mean = (of_node[0] + of_node[1] + of_node[2]) / 3;
    EXPECT_LE(
        *std::max_element(of_node, of_node + 3),
        mean + std::max(Microbatcher::kSlack * mean, Microbatcher::kSlackRequests * 3) + 1e-9);
  }
}

TEST(MicrobatcherTest, AReleasedMicrobatchIsTheLightest) {
  const ModelSpec model = SmallModel(1, 4, 1);
  Microbatcher microbatcher(Shape(model, 1), 2);
  const Prompt prompt = {"", 1, {{0, 1, 1}}};
  std::vector<Microbatch> placed;
  for (int i = 0; i < 20; ++i) {
    placed.push_back(microbatcher.Place(NodeId(0), prompt, 10));
  }
  const auto on_second = std::count(placed.begin(), placed.end(), 1);
  EXPECT_NEAR(double(on_second), 10, 2);
  microbatcher.Release(NodeId(0), 1, 10.0 * double(on_second));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(microbatcher.Place(NodeId(0), prompt, 10), 1);
  }
}

TEST(SplitInOrderTest, TouchesFewerExpertsThanDealing) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Traffic traffic;
    traffic.model = SmallModel(4, 64, 4);
    for (int i = 0; i < 200; ++i) {  // of four kinds that share no expert
      const auto kind = static_cast<uint16_t>(16 * rng.Below(4));
      Request r = RandomRequest(SmallModel(4, 16, 4), "r", 30, 20, 0, &rng);
      for (uint16_t& e : r.experts) {
        e = static_cast<uint16_t>(e + kind);
      }
      traffic.requests.push_back(std::move(r));
    }
    const Plan plan = PlanOf(traffic.model, 2);
    const std::vector<NodeId> homes = DealRoundRobin(traffic.requests.size(), 2);
    const std::vector<Microbatch> split = SplitInOrder(plan, traffic, homes, 2);
    EXPECT_LT(*DistinctExpertsPerMicrobatch(traffic, homes, split),
              0.92 * *DistinctExpertsPerMicrobatch(traffic, homes, DealMicrobatches(homes, 2)));
  }
}

TEST(SplitInOrderTest, SeesOnlyEarlierRequestsAndPrompts) {
  Rng rng(3);
  Traffic traffic = RandomTraffic(SmallModel(3, 16, 2), 60, 3, &rng);
  const Plan plan = PlanOf(traffic.model, 2);
  const std::vector<NodeId> homes = DealRoundRobin(60, 2);
  const std::vector<Microbatch> all = SplitInOrder(plan, traffic, homes, 4);
  for (Request& r : traffic.requests) {  // what is decoded plays no part
    std::fill(r.experts.begin() + int64_t{r.prompt_tokens} * 3 * 2, r.experts.end(), uint16_t{0});
  }
  EXPECT_EQ(SplitInOrder(plan, traffic, homes, 4), all);
  traffic.requests.resize(30);
  const std::vector<NodeId> first(homes.begin(), homes.begin() + 30);
  EXPECT_EQ(SplitInOrder(plan, traffic, first, 4),
            std::vector<Microbatch>(all.begin(), all.begin() + 30));
}

TEST(SplitInOrderTest, WithoutAGroupingRequestsAreDealt) {
  Rng rng(4);
  const Traffic traffic = RandomTraffic(SmallModel(1, 4, 1), 10, 1, &rng);
  Plan plan = PlanOf(traffic.model, 2);
  plan.grouping = {};
  const std::vector<NodeId> homes = DealRoundRobin(10, 2);
  EXPECT_EQ(SplitInOrder(plan, traffic, homes, 2), DealMicrobatches(homes, 2));
}

}  // namespace
}  // namespace advisor
