#include "client/replay/ledger.h"

#include <numeric>

#include "core/cost/evaluate.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;

const ModelSpec kModel = SmallModel(3, 12, 3);

std::vector<int> InOrder(const Traffic& traffic) {
  std::vector<int> order(traffic.requests.size());
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::shared_ptr<const Plan> MakePlan(uint64_t revision, const Topology& topology) {
  Rng rng(revision);
  auto plan = std::make_shared<Plan>();
  plan->model = kModel;
  plan->topology = topology;
  plan->position = {1, revision};
  plan->placement = RandomPlacement(kModel, topology, &rng);
  plan->remote_choice = RandomRemoteChoice(kModel, topology, plan->placement, &rng);
  return plan;
}

void ExpectClose(const Figures& got, const Figures& want) {
  EXPECT_EQ(got.tokens, want.tokens);
  EXPECT_NEAR(*got.remote_visits_per_token_layer, *want.remote_visits_per_token_layer, 1e-12);
  EXPECT_NEAR(*got.internode_bytes_per_token, *want.internode_bytes_per_token, 1e-9);
  EXPECT_NEAR(got.remote_activation_ratio, want.remote_activation_ratio, 1e-12);
  EXPECT_NEAR(got.node_load.mean, want.node_load.mean, 1e-12);
  EXPECT_NEAR(got.gpu_load.worst, want.gpu_load.worst, 1e-12);
  EXPECT_NEAR(*got.max_pair_message, *want.max_pair_message, 1e-12);
  EXPECT_NEAR(got.home_token_max_over_mean, want.home_token_max_over_mean, 1e-12);
}

TEST(LedgerTest, OnePlanIsWhatEvaluateSaysTokenByTokenOrWhole) {
  Rng rng(1);
  const Topology topology = *Topology::Uniform(3, 2, 3);
  const Traffic traffic = RandomTraffic(kModel, 20, 3, &rng);
  const auto plan = MakePlan(1, topology);
  Ledger ledger(traffic, topology, InOrder(traffic), traffic.requests.size());
  ledger.AddPlan(plan);
  std::vector<NodeId> homes;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    const Request& request = traffic.requests[i];
    homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
    const int played = static_cast<int>(i);
    ledger.Ran(played, 0, request.prompt_tokens, homes.back(), {1, 1});
    for (int t = request.prompt_tokens; t < request.tokens; ++t) {
      ledger.Ran(played, t, t + 1, homes.back(), {1, 1});
    }
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<PartFigures> parts, ledger.Figure());
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].requests, 20);
  for (PhaseFilter phase : {PhaseFilter::kDecode, PhaseFilter::kAll}) {
    ASSERT_OK_AND_ASSIGN(const Figures want,
                         EvaluateWithBaseline(*plan, traffic, homes, {phase, Dispatch::kTable}));
    ASSERT_OK_AND_ASSIGN(const Figures linear,
                         EvaluateLinearBaseline(kModel, topology, traffic, phase));
    const bool decode = phase == PhaseFilter::kDecode;
    ExpectClose(decode ? parts[0].decode : parts[0].all, want);
    ExpectClose(decode ? parts[0].baseline_decode : parts[0].baseline_all, linear);
    EXPECT_NEAR(*(decode ? parts[0].decode : parts[0].all).saving_ratio, *want.saving_ratio, 1e-12);
  }
}

TEST(LedgerTest, ARequestThatSpansASwitchIsSplitByToken) {
  Rng rng(2);
  const Topology topology = *Topology::Uniform(3, 2, 3);
  const Traffic traffic = RandomTraffic(kModel, 12, 3, &rng);
  const auto plan = MakePlan(1, topology);
  Ledger ledger(traffic, topology, InOrder(traffic), traffic.requests.size());
  ledger.AddPlan(plan);
  Traffic before = traffic, after = traffic;
  std::vector<NodeId> homes;
  const size_t token_ids = size_t(kModel.moe_layers) * kModel.top_k;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    const Request& request = traffic.requests[i];
    const int cut = 1 + static_cast<int>(rng.Below(request.tokens - 1));
    homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
    ledger.Ran(static_cast<int>(i), 0, cut, homes.back(), {});
    ledger.Ran(static_cast<int>(i), cut, request.tokens, homes.back(), {1, 1});
    Request &b = before.requests[i], &a = after.requests[i];
    b.tokens = cut;
    b.prompt_tokens = std::min(b.prompt_tokens, cut);
    b.experts.resize(cut * token_ids);
    a.tokens -= cut;
    a.prompt_tokens = std::max(0, a.prompt_tokens - cut);
    a.experts.erase(a.experts.begin(), a.experts.begin() + cut * token_ids);
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<PartFigures> parts, ledger.Figure());
  ASSERT_EQ(parts.size(), 2u);
  Plan linear;
  linear.model = kModel;
  linear.topology = topology;
  linear.placement = LinearPlacement(kModel, topology);
  ASSERT_OK_AND_ASSIGN(const Figures first,
                       Evaluate(linear, before, homes, {PhaseFilter::kAll, Dispatch::kTable}));
  ASSERT_OK_AND_ASSIGN(const Figures second,
                       Evaluate(*plan, after, homes, {PhaseFilter::kAll, Dispatch::kTable}));
  ExpectClose(parts[0].all, first);
  ExpectClose(parts[1].all, second);
  EXPECT_EQ(parts[0].plan, nullptr);
  EXPECT_EQ(parts[1].plan, plan);
  EXPECT_EQ(parts[0].all_tokens + parts[1].all_tokens, ledger.tokens());
}

TEST(LedgerTest, HalvesAreKeptApartAndDealtInOrderOfPlay) {
  Rng rng(3);
  const Topology topology = *Topology::Uniform(2, 2, 4);
  const Traffic traffic = RandomTraffic(kModel, 6, 2, &rng);
  std::vector<int> order = {5, 4, 3, 2, 1, 0};
  Ledger ledger(traffic, topology, order, 3);
  for (int played = 0; played < 6; ++played) {
    ledger.Ran(played, 0, traffic.requests[order[played]].tokens, NodeId(0), {});
  }
  ASSERT_OK_AND_ASSIGN(const std::vector<PartFigures> parts, ledger.Figure());
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].key.half, 0);
  EXPECT_EQ(parts[1].key.half, 1);
  Traffic second = traffic;
  second.requests = {traffic.requests[2], traffic.requests[1], traffic.requests[0]};
  Plan linear;
  linear.model = kModel;
  linear.topology = topology;
  linear.placement = LinearPlacement(kModel, topology);
  // Positions 3, 4, 5 of the play: nodes 1, 0, 1.
  ASSERT_OK_AND_ASSIGN(const Figures baseline,
                       Evaluate(linear, second, {NodeId(1), NodeId(0), NodeId(1)},
                                {PhaseFilter::kAll, Dispatch::kTable}));
  ExpectClose(parts[1].baseline_all, baseline);
}

TEST(LedgerTest, AnUnknownPlacementIsAnError) {
  Rng rng(4);
  const Traffic traffic = RandomTraffic(kModel, 1, 1, &rng);
  Ledger ledger(traffic, *Topology::Uniform(2, 2, 4), {0}, 1);
  ledger.Ran(0, 0, 1, NodeId(0), {3, 3});
  EXPECT_THAT(ledger.Figure(), StatusIs(absl::StatusCode::kInternal, HasSubstr("plan 3.3")));
}

}  // namespace
}  // namespace advisor::client
