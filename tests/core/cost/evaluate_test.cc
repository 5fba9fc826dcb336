#include "core/cost/evaluate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::RandomRequest;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::advisor::testing::SumsOf;
using ::testing::HasSubstr;

// The definitions of README, "Figures", word by word: one token and one expert at a time, no table
// shared with the code.
class NaiveFigures {
 public:
  NaiveFigures(const Plan& plan, Dispatch dispatch) : plan_(plan), dispatch_(dispatch) {}

  Figures Of(const Traffic& traffic, const std::vector<NodeId>& homes, PhaseFilter phase) {
    const int layers = plan_.model.moe_layers, nodes = plan_.topology.node_count();
    std::vector<double> home_tokens(nodes, 0);
    double visits = 0, remote = 0, activations = 0, messages = 0;
    Figures out;
    for (int l = 0; l < layers; ++l) {
      std::map<std::pair<int, int>, double> served;  // node, expert
      std::map<std::pair<int, int>, double> message;
      for (size_t i = 0; i < homes.size(); ++i) {
        const Request& r = traffic.requests[i];
        const int home = homes[i].value();
        if (r.counts_only()) {
          for (int e = 0; e < plan_.model.experts; ++e) {
            const double c = r.counts[size_t(l) * plan_.model.experts + e];
            served[{Serve(l, home, e), e}] += c;
            remote += Serve(l, home, e) != home ? c : 0;
            activations += c;
          }
          home_tokens[home] += l == 0 ? r.tokens : 0;
          continue;
        }
        for (int t = 0; t < r.tokens; ++t) {
          if (!Includes(phase, t < r.prompt_tokens ? Phase::kPrefill : Phase::kDecode)) {
            continue;
          }
          out.tokens += l == 0;
          home_tokens[home] += l == 0;
          const uint16_t* ids = r.token(plan_.model, t, l);
          const std::map<int, int> to = ServeToken(l, home, {ids, ids + plan_.model.top_k});
          std::set<int> away;
          for (auto [e, n] : to) {
            served[{n, e}] += 1;
            ++activations;
            if (n != home) {
              ++remote;
              away.insert(n);
            }
          }
          visits += away.size();
          for (int n : away) {
            ++message[{home, n}];
          }
        }
      }
      double largest = 0;
      for (const auto& entry : message) {
        largest = std::max(largest, entry.second);
      }
      messages += largest / layers;
      AddLoads(l, served, &out);
    }
    out.remote_activation_ratio = remote / activations;
    double total = 0;
    for (double t : home_tokens) {
      total += t;
    }
    for (int n = 0; n < nodes; ++n) {
      out.home_token_max_over_mean = std::max(out.home_token_max_over_mean,
                                              home_tokens[n] / plan_.topology.gpus_on(NodeId(n)) /
                                                  (total / plan_.topology.gpu_count()));
    }
    if (out.tokens > 0) {
      out.remote_visits_per_token_layer = visits / out.tokens / layers;
      out.internode_bytes_per_token =
          *out.remote_visits_per_token_layer * layers * plan_.model.hidden_size *
          (plan_.model.dispatch_bytes_per_value + plan_.model.combine_bytes_per_value);
      out.max_pair_message = messages / (double(out.tokens) / nodes);
    }
    return out;
  }

 private:
  bool Holds(int l, int node, int e) const {
    for (int s = 0; s < plan_.topology.slot_count(); ++s) {
      if (plan_.topology.node_of(SlotId(s)).value() == node &&
          plan_.placement.row(LayerId(l))[s] == e) {
        return true;
      }
    }
    return false;
  }
  int Serve(int l, int home, int e) const {
    if (Holds(l, home, e)) {
      return home;
    }
    if (!plan_.remote_choice.empty() &&
        plan_.remote_choice.row(LayerId(l), NodeId(home))[e] != kRingOrder) {
      return plan_.remote_choice.row(LayerId(l), NodeId(home))[e];
    }
    int n = home;
    while (!Holds(l, n, e)) {
      n = (n + 1) % plan_.topology.node_count();
    }
    return n;
  }
  std::map<int, int> ServeToken(int l, int home, std::set<int> left) const {
    std::map<int, int> to;
    if (dispatch_ == Dispatch::kTable) {
      for (int e : left) {
        to[e] = Serve(l, home, e);
      }
      return to;
    }
    const int nodes = plan_.topology.node_count();
    for (int e : std::set<int>(left)) {
      if (Holds(l, home, e)) {
        to[e] = home;
        left.erase(e);
      }
    }
    while (!left.empty()) {
      std::vector<std::pair<int, int>> order;  // experts held, negated, then ring distance
      for (int d = 0; d < nodes; ++d) {
        const auto held = std::count_if(left.begin(), left.end(),
                                        [&](int e) { return Holds(l, (home + d) % nodes, e); });
        order.emplace_back(-held, d);
      }
      const int n = (home + std::min_element(order.begin(), order.end())->second) % nodes;
      for (int e : std::set<int>(left)) {
        if (Holds(l, n, e)) {
          to[e] = n;
          left.erase(e);
        }
      }
    }
    return to;
  }
  void AddLoads(int l, const std::map<std::pair<int, int>, double>& served, Figures* out) const {
    const Topology& topology = plan_.topology;
    std::vector<double> node(topology.node_count(), 0), gpu(topology.gpu_count(), 0);
    double total = 0;
    for (auto [where, load] : served) {
      node[where.first] += load;
      total += load;
      std::vector<int> copies;
      for (int s = 0; s < topology.slot_count(); ++s) {
        if (topology.node_of(SlotId(s)).value() == where.first &&
            plan_.placement.row(LayerId(l))[s] == where.second) {
          copies.push_back(topology.gpu_of(SlotId(s)).value());
        }
      }
      for (int g : copies) {
        gpu[g] += load / copies.size();
      }
    }
    double node_load = 0;
    for (int n = 0; n < topology.node_count(); ++n) {
      node_load = std::max(node_load,
                           node[n] / topology.gpus_on(NodeId(n)) / (total / topology.gpu_count()));
    }
    const double gpu_load =
        *std::max_element(gpu.begin(), gpu.end()) / (total / topology.gpu_count());
    out->node_load.mean += node_load / plan_.model.moe_layers;
    out->node_load.worst = std::max(out->node_load.worst, node_load);
    out->gpu_load.mean += gpu_load / plan_.model.moe_layers;
    out->gpu_load.worst = std::max(out->gpu_load.worst, gpu_load);
  }

  const Plan& plan_;
  const Dispatch dispatch_;
};

void ExpectNear(const Figures& got, const Figures& want) {
  EXPECT_EQ(got.tokens, want.tokens);
  ASSERT_EQ(got.remote_visits_per_token_layer.has_value(),
            want.remote_visits_per_token_layer.has_value());
  ASSERT_EQ(got.max_pair_message.has_value(), want.max_pair_message.has_value());
  if (want.remote_visits_per_token_layer.has_value()) {
    EXPECT_NEAR(*got.remote_visits_per_token_layer, *want.remote_visits_per_token_layer, 1e-9);
    EXPECT_NEAR(*got.internode_bytes_per_token, *want.internode_bytes_per_token, 1e-6);
    EXPECT_NEAR(*got.max_pair_message, *want.max_pair_message, 1e-9);
  }
  EXPECT_NEAR(got.remote_activation_ratio, want.remote_activation_ratio, 1e-9);
  EXPECT_NEAR(got.node_load.mean, want.node_load.mean, 1e-9);
  EXPECT_NEAR(got.node_load.worst, want.node_load.worst, 1e-9);
  EXPECT_NEAR(got.gpu_load.mean, want.gpu_load.mean, 1e-9);
  EXPECT_NEAR(got.gpu_load.worst, want.gpu_load.worst, 1e-9);
  EXPECT_NEAR(got.home_token_max_over_mean, want.home_token_max_over_mean, 1e-9);
}

struct Instance {
  Plan plan;
  Traffic traffic;
  std::vector<NodeId> homes;
};

// Nodes of different sizes, copies, a remote choice in half of the cases, some requests known by
// sums.
Instance RandomInstance(uint64_t seed) {
  Rng rng(seed);
  Instance out;
  out.plan.model = SmallModel(2, 8, 3);
  const int nodes = 1 + static_cast<int>(rng.Below(4));
  std::vector<NodeSpec> specs;
  for (int n = 0; n < nodes; ++n) {
    NodeSpec spec;
    spec.name = absl::StrCat("n", n);
    spec.gpus = 1 + static_cast<int>(rng.Below(3));
    spec.slots_per_gpu = 2 + static_cast<int>(rng.Below(3)) + 8 / nodes / spec.gpus;
    specs.push_back(spec);
  }
  out.plan.topology = *Topology::Create(specs);
  out.plan.placement = RandomPlacement(out.plan.model, out.plan.topology, &rng);
  if (rng.Below(2) == 0) {
    out.plan.remote_choice =
        RandomRemoteChoice(out.plan.model, out.plan.topology, out.plan.placement, &rng);
  }
  out.traffic = RandomTraffic(out.plan.model, 12, 3, &rng);
  for (Request& r : out.traffic.requests) {
    if (rng.Below(4) == 0) {
      r = SumsOf(out.plan.model, r);
    }
    out.homes.push_back(NodeId(static_cast<int>(rng.Below(nodes))));
  }
  return out;
}

TEST(EvaluateTest, AgreesWithTheDefinitions) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    const Instance x = RandomInstance(seed);
    for (PhaseFilter phase : {PhaseFilter::kAll, PhaseFilter::kPrefill, PhaseFilter::kDecode}) {
      for (Dispatch dispatch : {Dispatch::kTable, Dispatch::kCover}) {
        ASSERT_OK_AND_ASSIGN(const Figures got,
                             Evaluate(x.plan, x.traffic, x.homes, {phase, dispatch}));
        ExpectNear(got, NaiveFigures(x.plan, dispatch).Of(x.traffic, x.homes, phase));
      }
    }
  }
}

TEST(EvaluateTest, AgreesWithTheDefinitionsForLongRequestsOverManyNodes) {
  Rng rng(2);
  Instance x;
  x.plan.model = SmallModel(2, 30, 4);
  x.plan.topology = *Topology::Uniform(11, 1, 4);
  x.plan.placement = RandomPlacement(x.plan.model, x.plan.topology, &rng);
  x.traffic.model = x.plan.model;
  for (int r = 0; r < 5; ++r) {
    const int tokens = 256 * r + 50;
    x.traffic.requests.push_back(
        RandomRequest(x.plan.model, absl::StrCat("r", r), tokens, tokens / 3, 7 * r, &rng));
    x.homes.push_back(NodeId(2 * r));
  }
  for (PhaseFilter phase : {PhaseFilter::kAll, PhaseFilter::kPrefill, PhaseFilter::kDecode}) {
    ASSERT_OK_AND_ASSIGN(const Figures got, Evaluate(x.plan, x.traffic, x.homes, {phase}));
    ExpectNear(got, NaiveFigures(x.plan, Dispatch::kTable).Of(x.traffic, x.homes, phase));
  }
}

TEST(EvaluateTest, LayersSumUpToTheWhole) {
  const Instance x = RandomInstance(3);
  ASSERT_OK_AND_ASSIGN(const Figures whole, Evaluate(x.plan, x.traffic, x.homes, {}));
  ASSERT_OK_AND_ASSIGN(const std::vector<LayerFigures> layers,
                       EvaluateLayers(x.plan, x.traffic, x.homes, {}));
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_NEAR((layers[0].visits + layers[1].visits) / 2 / whole.tokens,
              *whole.remote_visits_per_token_layer, 1e-12);
  EXPECT_DOUBLE_EQ(std::max(layers[0].node_load, layers[1].node_load), whole.node_load.worst);
}

TEST(EvaluateTest, AWeightStandsForSoManyRequests) {
  Instance x = RandomInstance(5);
  x.traffic.requests[0].weight = 3;
  Instance repeated = RandomInstance(5);
  for (int i = 0; i < 2; ++i) {
    repeated.traffic.requests.push_back(repeated.traffic.requests[0]);
    repeated.homes.push_back(repeated.homes[0]);
  }
  ASSERT_OK_AND_ASSIGN(Figures weighted, Evaluate(x.plan, x.traffic, x.homes, {}));
  ASSERT_OK_AND_ASSIGN(const Figures want,
                       Evaluate(repeated.plan, repeated.traffic, repeated.homes, {}));
  weighted.tokens = want.tokens;
  ExpectNear(weighted, want);
}

TEST(EvaluateTest, SavingIsAgainstLinearAndRoundRobin) {
  Instance x = RandomInstance(8);
  ASSERT_GT(x.plan.topology.node_count(), 1);
  ASSERT_OK_AND_ASSIGN(const Figures got,
                       EvaluateWithBaseline(x.plan, x.traffic, x.homes, {PhaseFilter::kAll}));
  Plan linear = x.plan;
  linear.placement = LinearPlacement(x.plan.model, x.plan.topology);
  linear.remote_choice = {};
  const std::vector<NodeId> dealt = DealRoundRobin(x.homes.size(), x.plan.topology.node_count());
  ASSERT_OK_AND_ASSIGN(const Figures base, Evaluate(linear, x.traffic, dealt, {PhaseFilter::kAll}));
  EXPECT_NEAR(*got.saving_ratio,
              1 - *got.internode_bytes_per_token / *base.internode_bytes_per_token, 1e-12);
  EXPECT_NEAR(*got.remote_activation_saving_ratio,
              1 - got.remote_activation_ratio / base.remote_activation_ratio, 1e-12);
  ASSERT_OK_AND_ASSIGN(const Figures itself,
                       EvaluateWithBaseline(linear, x.traffic, dealt, {PhaseFilter::kAll}));
  EXPECT_EQ(itself.saving_ratio, 0.0);
}

TEST(EvaluateTest, SumsAloneHaveNoVisits) {
  Rng rng(1);
  Plan plan;
  plan.model = SmallModel(2, 8, 3);
  plan.topology = *Topology::Uniform(2, 2, 2);
  plan.placement = LinearPlacement(plan.model, plan.topology);
  Traffic traffic = RandomTraffic(plan.model, 6, 2, &rng);
  for (Request& r : traffic.requests) {
    r = SumsOf(plan.model, r);
  }
  ASSERT_OK_AND_ASSIGN(const Figures got,
                       EvaluateWithBaseline(plan, traffic, DealRoundRobin(6, 2), {}));
  EXPECT_EQ(got.tokens, 0);
  EXPECT_FALSE(got.remote_visits_per_token_layer.has_value());
  EXPECT_FALSE(got.internode_bytes_per_token.has_value());
  EXPECT_FALSE(got.max_pair_message.has_value());
  EXPECT_FALSE(got.saving_ratio.has_value());
  EXPECT_EQ(got.remote_activation_saving_ratio, 0.0);
  EXPECT_GT(got.remote_activation_ratio, 0);
  EXPECT_GE(got.gpu_load.mean, got.node_load.mean);
}

TEST(EvaluateTest, OneNodeSendsNothingAndSavesNothing) {
  Rng rng(1);
  Plan plan;
  plan.model = SmallModel(2, 8, 3);
  plan.topology = *Topology::Uniform(1, 2, 4);
  plan.placement = LinearPlacement(plan.model, plan.topology);
  const Traffic traffic = RandomTraffic(plan.model, 6, 2, &rng);
  ASSERT_OK_AND_ASSIGN(const Figures got,
                       EvaluateWithBaseline(plan, traffic, DealRoundRobin(6, 1), {}));
  EXPECT_EQ(got.remote_visits_per_token_layer, 0.0);
  EXPECT_EQ(got.max_pair_message, 0.0);
  EXPECT_FALSE(got.saving_ratio.has_value());
  EXPECT_FALSE(got.remote_activation_saving_ratio.has_value());
  EXPECT_NEAR(got.node_load.worst, 1, 1e-12);
}

TEST(EvaluateTest, RefusesWhatDoesNotFit) {
  Instance x = RandomInstance(2);
  std::vector<NodeId> short_homes(x.homes.begin(), x.homes.end() - 1);
  EXPECT_THAT(Evaluate(x.plan, x.traffic, short_homes, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("11 homes for 12 requests")));
  x.homes[3] = NodeId(4);
  EXPECT_THAT(Evaluate(x.plan, x.traffic, x.homes, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("request \"r3\": home node 4, must be 0 ..")));
  x.traffic.model.top_k = 2;
  EXPECT_THAT(Evaluate(x.plan, x.traffic, x.homes, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("[2, 8, 2], the plan is for [2, 8, 3]")));
  EXPECT_THAT(EvaluateLinearBaseline(SmallModel(1, 8, 2), *Topology::Uniform(1, 1, 4), {},
                                     PhaseFilter::kAll),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("4 slots are missing")));
}

}  // namespace
}  // namespace advisor
