#include "core/grouping/assigner.h"

#include <algorithm>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;
using ::testing::ElementsAre;

Grouping RandomGrouping(const ModelSpec& model, int nodes, Rng* rng) {
  Grouping g;
  g.layers = model.moe_layers;
  g.experts = model.experts;
  g.nodes = nodes;
  g.domains = {"a", "c"};
  const auto fill = [&](size_t n) {
    std::vector<float> v;
    for (size_t i = 0; i < n; ++i) {
      v.push_back(static_cast<float>(rng->Uniform()));
    }
    return v;
  };
  g.bias = fill(nodes);
  g.domain_cost = fill(2 * nodes);
  g.affinity = fill(size_t(g.layers) * g.experts * nodes);
  g.node_share.assign(nodes, 1.0f / nodes);
  return g;
}

Prompt RandomPrompt(const ModelSpec& model, Rng* rng) {
  Prompt p;
  p.domain = std::vector<std::string>{"a", "b", "c", ""}[rng->Below(4)];
  p.tokens = 1 + static_cast<int>(rng->Below(50));
  for (int i = 0; i < 20; ++i) {
    p.counts.push_back({static_cast<uint16_t>(rng->Below(model.moe_layers)),
                        static_cast<uint16_t>(rng->Below(model.experts)), 1 + rng->Below(5)});
  }
  return p;
}

// Chooses for each node the whole way over again, as the header states the rule.
NodeId NaiveAssign(const Grouping& g, const std::vector<Choice>& ranked, double weight,
                   std::vector<double>* load, double* booked, double* squares) {
  *booked += weight;
  *squares += weight * weight;
  double total = weight;
  for (double x : *load) {
    total += x;
  }
  const auto per_share = [&](int n) { return (*load)[n] / g.node_share[n]; };
  int chosen = -1, lightest = -1;
  double least = 0;
  for (int n = 0; n < g.nodes; ++n) {
    const double cost = std::find_if(ranked.begin(), ranked.end(), [&](const Choice& c) {
                          return c.node == NodeId(n);
                        })->cost;
    const double fair = g.node_share[n] * total;
    const double allowance = g.load_slack * fair + g.load_slack_requests * *squares / *booked;
    const double pressure = allowance > 0 ? ((*load)[n] + weight / 2 - fair) / allowance : 0;
    const double price = cost + g.load_price * pressure;
    if ((*load)[n] - fair <= allowance &&
        (chosen < 0 || price < least || (price == least && per_share(n) < per_share(chosen)))) {
      chosen = n;
      least = price;
    }
    if (lightest < 0 || per_share(n) < per_share(lightest)) {
      lightest = n;
    }
  }
  chosen = chosen < 0 ? lightest : chosen;
  (*load)[chosen] += weight;
  return NodeId(chosen);
}

TEST(AssignerTest, CostIsBiasDomainAndAffinityPerPromptToken) {
  const ModelSpec model = SmallModel(3, 7, 2);
  for (int nodes : {1, 2, 3, 4, 5, 8, 13, 64}) {
    SCOPED_TRACE(nodes);
    Rng rng(nodes);
    const Grouping g = RandomGrouping(model, nodes, &rng);
    const Assigner assigner(g, nodes);
    const Prompt p = RandomPrompt(model, &rng);
    std::vector<Choice> ranked = assigner.Rank(p);
    ASSERT_EQ(ranked.size(), size_t(nodes));
    for (size_t i = 1; i < ranked.size(); ++i) {
      EXPECT_LE(ranked[i - 1].cost, ranked[i].cost);
    }
    for (const Choice& c : ranked) {
      const int n = c.node.value();
      double want = g.bias[n];
      if (p.domain == "a" || p.domain == "c") {
        want += g.domain_cost[(p.domain == "a" ? 0 : nodes) + n];
      }
      for (const PromptCount& x : p.counts) {
        want += double{g.affinity[(x.layer * 7 + x.expert) * nodes + n]} * x.count / p.tokens;
      }
      EXPECT_NEAR(c.cost, want, 1e-5 * want);
    }
  }
}

TEST(AssignerTest, FollowsTheLoadRule) {
  const ModelSpec model = SmallModel(2, 6, 2);
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Grouping g = RandomGrouping(model, 3, &rng);
    g.node_share = {0.5f, 0.25f, 0.25f};
    g.load_slack = 0.1f * static_cast<float>(seed % 3);
    g.load_slack_requests = 0.5f * static_cast<float>(seed % 4);
    g.load_price = 0.2f * static_cast<float>(seed % 5);
    g.decode_per_prompt_token = 2.5f;
    Assigner assigner(g, 3);
    std::vector<double> load(3, 0);
    double booked = 0, squares = 0;
    int spills = 0;
    for (int i = 0; i < 200; ++i) {
      const Prompt p = RandomPrompt(model, &rng);
      const std::vector<Choice> ranked = assigner.Rank(p);
      const NodeId want = NaiveAssign(g, ranked, 2.5 * p.tokens, &load, &booked, &squares);
      const Choice got = assigner.Assign(p);
      ASSERT_EQ(got.node, want) << "request " << i;
      EXPECT_EQ(got.spilled, got.node != ranked[0].node);
      spills += got.spilled;
      if (i % 3 == 0) {
        assigner.Release(got.node, 2.5 * p.tokens);
        load[got.node.value()] -= 2.5 * p.tokens;
      }
    }
    EXPECT_GT(spills, 0);
  }
}

TEST(AssignerTest, WhereNodesCostTheSameLoadDecides) {
  Grouping g;
  g.layers = g.experts = 1;
  g.nodes = 3;
  g.bias = {2, 2, 2};
  g.affinity = {1, 1, 1};
  g.node_share = {0.25f, 0.5f, 0.25f};
  Assigner assigner(g, 3);
  std::vector<int> requests(3, 0);
  for (int i = 0; i < 100; ++i) {
    ++requests[assigner.Assign({"", 10, {{0, 0, 3}}}).node.value()];
  }
  EXPECT_THAT(requests, ElementsAre(25, 50, 25));
}

TEST(AssignerTest, ALongRequestAmongShortOnesGoesWhereItBelongs) {
  Grouping g;
  g.layers = g.experts = 1;
  g.nodes = 2;
  g.bias = {0, 1};
  g.affinity = {0, 0};
  g.node_share = {0.5f, 0.5f};
  g.load_slack = 0;
  Assigner assigner(g, 2);
  for (int i = 0; i < 20; ++i) {
    assigner.Assign({"", 10, {}});
  }
  // Seventy times the mean.
  EXPECT_EQ(assigner.Assign({"", 1000, {}}).node, NodeId(0));
  EXPECT_EQ(assigner.Assign({"", 10, {}}).node, NodeId(0));  // the typical request has grown too
}

TEST(AssignerTest, LoadStaysInsideTheSlackWhenEveryoneWantsOneNode) {
  const ModelSpec model = SmallModel(1, 4, 1);
  Rng rng(9);
  Grouping g = RandomGrouping(model, 4, &rng);
  g.bias = {-1000, 0, 0, 0};
  g.node_share = {0.4f, 0.2f, 0.2f, 0.2f};
  Assigner assigner(g, 4);
  std::vector<double> load(4, 0);
  double total = 0;
  for (int i = 0; i < 400; ++i) {
    const Prompt p = RandomPrompt(model, &rng);
    load[assigner.Assign(p).node.value()] += p.tokens;
    total += p.tokens;
  }
  // Fills its allowance, and the one request that goes over it: prompts have up to 50 tokens, 34 in
  // the typical one.
  EXPECT_NEAR(load[0], 0.4 * total * 1.1 + 3 * 34, 50);
  for (int n = 1; n < 4; ++n) {
    EXPECT_LE(load[n], 0.2 * total * 1.1 + 3 * 34 + 50);
  }
}

TEST(AssignerTest, WithoutAGroupingDealsInTurn) {
  const Grouping none;
  Assigner assigner(none, 3);
  std::vector<int> nodes;
  for (int i = 0; i < 4; ++i) {
    nodes.push_back(assigner.Assign({}).node.value());
  }
  EXPECT_THAT(nodes, ElementsAre(0, 1, 2, 0));
  const std::vector<Choice> next = assigner.Rank({});
  EXPECT_THAT((std::vector<int>{next[0].node.value(), next[1].node.value(), next[2].node.value()}),
              ElementsAre(1, 2, 0));
}

TEST(AssignerTest, IgnoresWhatLiesOutsideItsTables) {
  const ModelSpec model = SmallModel(2, 4, 1);
  Rng rng(4);
  const Grouping g = RandomGrouping(model, 4, &rng);
  const Assigner assigner(g, 4);
  Prompt p;
  p.tokens = 2;
  p.counts = {{1, 3, 2}};
  Prompt more = p;
  more.counts.push_back({2, 0, 9});
  more.counts.push_back({0, 4, 9});
  EXPECT_EQ(assigner.Rank(p)[0].cost, assigner.Rank(more)[0].cost);
  Prompt no_tokens = p;
  no_tokens.tokens = 0;
  EXPECT_NEAR(assigner.Rank(no_tokens)[0].cost, *std::min_element(g.bias.begin(), g.bias.end()),
              1e-12);
}

TEST(AssignerTest, ExpectsDecodeFromThePromptElseTheMean) {
  Grouping g;
  g.decode_per_prompt_token = 1.5f;
  g.mean_decode_tokens = 70;
  const Assigner assigner(g, 2);
  Prompt p;
  EXPECT_EQ(assigner.ExpectedDecodeTokens(p), 70);
  p.tokens = 10;
  EXPECT_EQ(assigner.ExpectedDecodeTokens(p), 15);
}

TEST(PromptOfTest, CountsThePrefillAlone) {
  const ModelSpec model = SmallModel(2, 4, 2);
  Request r;
  r.domain = "x";
  r.tokens = 3;
  r.prompt_tokens = 2;
  r.experts = {0, 1, 2, 3, /*token 1:*/ 1, 0, 3, 1, /*token 2, decode:*/ 2, 3, 0, 1};
  const Prompt p = PromptOf(model, r);
  EXPECT_EQ(p.domain, "x");
  EXPECT_EQ(p.tokens, 2);
  std::vector<std::vector<int>> counts;
  for (const PromptCount& c : p.counts) {
    counts.push_back({c.layer, c.expert, static_cast<int>(c.count)});
  }
  EXPECT_THAT(counts, ElementsAre(ElementsAre(0, 0, 2), ElementsAre(0, 1, 2), ElementsAre(1, 1, 1),
                                  ElementsAre(1, 2, 1), ElementsAre(1, 3, 2)));
  const Prompt sums = PromptOf(model, SumsOf(model, r));
  EXPECT_EQ(sums.tokens, 3);
  EXPECT_EQ(sums.counts.size(), 8u);
}

TEST(AssignInOrderTest, IsTheAssignerOverTheTrace) {
  Rng rng(2);
  Plan plan;
  plan.model = SmallModel(2, 6, 2);
  plan.topology = *Topology::Uniform(3, 1, 2);
  plan.grouping = RandomGrouping(plan.model, 3, &rng);
  const Traffic traffic = RandomTraffic(plan.model, 30, 3, &rng);
  const std::vector<NodeId> homes = AssignInOrder(plan, traffic);
  Assigner assigner(plan.grouping, 3);
  for (size_t i = 0; i < homes.size(); ++i) {
    EXPECT_EQ(homes[i], assigner.Assign(PromptOf(plan.model, traffic.requests[i])).node);
  }
}

TEST(SetLoadModelTest, SharesByGpusAndTokensOfThePhase) {
  Rng rng(2);
  const ModelSpec model = SmallModel(1, 4, 1);
  Traffic traffic;
  traffic.model = model;
  for (int i = 0; i < 4; ++i) {
    traffic.requests.push_back(testing::RandomRequest(model, "r", 10, 4, 0, &rng));
  }
  const Topology topology = *Topology::Create({{"a", 3, 1, ""}, {"b", 1, 1, ""}});
  Grouping g;
  SetLoadModel(topology, traffic, PhaseFilter::kDecode, &g);
  EXPECT_THAT(g.node_share, ElementsAre(0.75f, 0.25f));
  EXPECT_FLOAT_EQ(g.decode_per_prompt_token, 1.5f);
  EXPECT_FLOAT_EQ(g.mean_decode_tokens, 6);
  SetLoadModel(topology, traffic, PhaseFilter::kAll, &g);
  EXPECT_FLOAT_EQ(g.decode_per_prompt_token, 2.5f);
}

}  // namespace
}  // namespace advisor
