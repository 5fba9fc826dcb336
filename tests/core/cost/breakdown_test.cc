#include "core/cost/breakdown.h"

#include <map>
#include <set>
#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;

class BreakdownTest : public ::testing::Test {
 protected:
  BreakdownTest() : rng_(11) {
    plan_.model = SmallModel(3, 12, 3);
    plan_.topology = *Topology::Uniform(3, 2, 3);
    plan_.placement = testing::RandomPlacement(plan_.model, plan_.topology, &rng_);
    plan_.remote_choice =
        testing::RandomRemoteChoice(plan_.model, plan_.topology, plan_.placement, &rng_);
    traffic_ = RandomTraffic(plan_.model, 40, 3, &rng_);
    for (Request& request : traffic_.requests) {
      request.weight = 1 + rng_.Below(3);
      homes_.push_back(NodeId(static_cast<int>(rng_.Below(3))));
    }
  }

  Rng rng_;
  Plan plan_;
  Traffic traffic_;
  std::vector<NodeId> homes_;
};

class BreakdownByPhaseTest : public BreakdownTest,
                             public ::testing::WithParamInterface<PhaseFilter> {};

TEST_P(BreakdownByPhaseTest, DomainsSumToTheWhole) {
  const EvaluateOptions options{GetParam()};
  ASSERT_OK_AND_ASSIGN(const auto domains, SavingByDomain(plan_, traffic_, homes_, options));
  ASSERT_OK_AND_ASSIGN(const Figures all, EvaluateWithBaseline(plan_, traffic_, homes_, options));
  ASSERT_EQ(domains.size(), 3u);
  double tokens = 0, visits = 0, base = 0;
  for (const DomainSaving& d : domains) {
    tokens += d.tokens;
    visits += d.visits_per_token_layer * d.tokens;
    base += d.visits_per_token_layer * d.tokens / (1 - *d.saving_ratio);
  }
  EXPECT_NEAR(visits / tokens, *all.remote_visits_per_token_layer, 1e-12);
  EXPECT_NEAR(1 - visits / base, *all.saving_ratio, 1e-12);
}

TEST_P(BreakdownByPhaseTest, FlowsAreThoseOfASlowCount) {
  using Key = std::tuple<int, int, int, int>;  // layer, expert, home, server
  std::map<Key, double> activations, visits;
  const ServeTable serve(plan_.model, plan_.topology, plan_.placement, plan_.remote_choice);
  for (size_t i = 0; i < homes_.size(); ++i) {
    const Request& r = traffic_.requests[i];
    const int home = homes_[i].value();
    for (int t = 0; t < r.tokens; ++t) {
      const Phase phase = t < r.prompt_tokens ? Phase::kPrefill : Phase::kDecode;
      for (int l = 0; l < 3 && Includes(GetParam(), phase); ++l) {
        std::map<int, std::set<int>> sent;  // experts by server
        for (int k = 0; k < 3; ++k) {
          const int e = r.token(plan_.model, t, l)[k];
          sent[serve.Serves(l, home, e)].insert(e);
        }
        sent.erase(home);
        for (const auto& [server, experts] : sent) {
          for (const int e : experts) {
            activations[{l, e, home, server}] += r.weight;
            visits[{l, e, home, server}] += r.weight / static_cast<double>(experts.size());
          }
        }
      }
    }
  }
  ASSERT_OK_AND_ASSIGN(const auto flows,
                       DearestFlows(plan_, traffic_, homes_, GetParam(), 1000000));
  ASSERT_OK_AND_ASSIGN(const auto layers, EvaluateLayers(plan_, traffic_, homes_, {GetParam()}));
  ASSERT_EQ(flows.size(), visits.size());
  double sum = 0, last = flows.front().visits;
  for (const Flow& f : flows) {
    const Key key{f.layer, f.expert, f.home.value(), f.server.value()};
    EXPECT_NEAR(f.visits, visits.at(key), 1e-9);
    EXPECT_NEAR(f.activations, activations.at(key), 1e-9);
    EXPECT_NEAR(f.share * (layers[0].visits + layers[1].visits + layers[2].visits), f.visits, 1e-9);
    EXPECT_LE(f.visits, last);
    last = f.visits;
    sum += f.visits;
  }
  EXPECT_NEAR(sum, layers[0].visits + layers[1].visits + layers[2].visits, 1e-9);
  ASSERT_OK_AND_ASSIGN(const auto four, DearestFlows(plan_, traffic_, homes_, GetParam(), 4));
  ASSERT_EQ(four.size(), 4u);
  EXPECT_EQ(four[3].expert, flows[3].expert);
  EXPECT_EQ(four[3].visits, flows[3].visits);
}

TEST_P(BreakdownByPhaseTest, DemandIsEveryActivationAtItsHome) {
  const std::vector<double> demand = DemandByHome(traffic_, homes_, 3, GetParam());
  std::vector<double> expected(size_t(3) * 3 * 12, 0.0);
  for (size_t i = 0; i < homes_.size(); ++i) {
    const Request& r = traffic_.requests[i];
    for (int t = r.first_token(GetParam()); t < r.end_token(GetParam()); ++t) {
      for (int l = 0; l < 3; ++l) {
        for (int k = 0; k < 3; ++k) {
          expected[(l * 3 + homes_[i].value()) * 12 + r.token(plan_.model, t, l)[k]] += r.weight;
        }
      }
    }
  }
  EXPECT_EQ(demand, expected);
}

TEST_P(BreakdownByPhaseTest, VisitsWithHoldersAreThoseOfAPlanThatHasThem) {
  // Twice the slots: any expert can go anywhere.
  const Topology wide = *Topology::Uniform(3, 2, 12);
  for (const int e : {0, 5, 11}) {
    for (uint64_t holders = 1; holders < 8; ++holders) {
      Plan plan;
      plan.model = plan_.model;
      plan.topology = wide;
      plan.placement = Placement(3, wide.slot_count());
      plan.remote_choice = plan_.remote_choice;
      const ServeTable serve(plan_.model, plan_.topology, plan_.placement, plan_.remote_choice);
      for (int l = 0; l < 3; ++l) {
        for (int x = 0; x < 12; ++x) {
          const uint64_t mask = l == 1 && x == e ? holders : serve.Holders(l, x);
          for (int n = 0; n < 3; ++n) {
            // Expert x in slot x of the node's first GPU.
            const int slot = wide.first_slot(wide.first_gpu(NodeId(n))).value() + x;
            plan.placement.row(LayerId(l))[slot] =
                mask >> n & 1 ? static_cast<int16_t>(x) : kEmptySlot;
          }
        }
      }
      for (int home = 0; home < 3; ++home) {
        int16_t& choice = plan.remote_choice.row(LayerId(1), NodeId(home))[e];
        choice = choice != kRingOrder && (holders >> choice & 1) ? choice : kRingOrder;
      }
      ASSERT_OK_AND_ASSIGN(const auto layers, EvaluateLayers(plan, traffic_, homes_, {GetParam()}));
      ASSERT_OK_AND_ASSIGN(
          const double visits,
          VisitsWithHolders(plan_, traffic_, homes_, GetParam(), LayerId(1), ExpertId(e), holders));
      EXPECT_EQ(visits, layers[1].visits) << "expert " << e << " on " << holders;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Phases, BreakdownByPhaseTest,
                         ::testing::Values(PhaseFilter::kAll, PhaseFilter::kPrefill,
                                           PhaseFilter::kDecode),
                         [](const auto& test) { return std::string(ToString(test.param)); });

TEST_F(BreakdownTest, SumsFlowWithoutVisits) {
  for (Request& request : traffic_.requests) {
    request = testing::SumsOf(plan_.model, request);
  }
  ASSERT_OK_AND_ASSIGN(const auto flows,
                       DearestFlows(plan_, traffic_, homes_, PhaseFilter::kDecode, 1000000));
  ASSERT_OK_AND_ASSIGN(const auto layers,
                       EvaluateLayers(plan_, traffic_, homes_, {PhaseFilter::kDecode}));
  double remote = 0;
  for (const Flow& f : flows) {
    EXPECT_EQ(f.visits, 0);
    remote += f.activations;
  }
  EXPECT_NEAR(
      remote,
      layers[0].remote_activations + layers[1].remote_activations + layers[2].remote_activations,
      1e-9);
  ASSERT_OK_AND_ASSIGN(const auto domains,
                       SavingByDomain(plan_, traffic_, homes_, {PhaseFilter::kAll}));
  EXPECT_FALSE(domains[0].saving_ratio.has_value());
}

TEST_F(BreakdownTest, TheBaselineByLayerIsTheBaseline) {
  ASSERT_OK_AND_ASSIGN(const auto layers, EvaluateLinearLayers(plan_.model, plan_.topology,
                                                               traffic_, PhaseFilter::kAll));
  ASSERT_OK_AND_ASSIGN(const Figures figures, EvaluateLinearBaseline(plan_.model, plan_.topology,
                                                                     traffic_, PhaseFilter::kAll));
  EXPECT_NEAR((layers[0].gpu_load + layers[1].gpu_load + layers[2].gpu_load) / 3,
              figures.gpu_load.mean, 1e-12);
}

TEST_F(BreakdownTest, HomesMustFit) {
  homes_.pop_back();
  EXPECT_THAT(SavingByDomain(plan_, traffic_, homes_, {}).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, ::testing::HasSubstr("39 homes")));
  EXPECT_FALSE(DearestFlows(plan_, traffic_, homes_, PhaseFilter::kAll, 1).ok());
  homes_.push_back(NodeId(0));
  const auto visits = [this](int layer, int expert, uint64_t holders) {
    return VisitsWithHolders(plan_, traffic_, homes_, PhaseFilter::kAll, LayerId(layer),
                             ExpertId(expert), holders);
  };
  EXPECT_TRUE(visits(2, 11, 7).ok());
  EXPECT_FALSE(visits(3, 0, 7).ok());
  EXPECT_FALSE(visits(0, 12, 7).ok());
  EXPECT_FALSE(visits(0, 0, 0).ok());
  EXPECT_FALSE(visits(0, 0, 8).ok());
}

}  // namespace
}  // namespace advisor
