#include "core/solver/grouping_model.h"

#include <vector>

#include "core/base/rng.h"
#include "core/cost/evaluate.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

// Nodes: within one word of eight homes, and more.
class GroupingModelTest : public ::testing::TestWithParam<int> {};

// The mean, over the tokens that chose an expert, of its share of their visits from a node; before
// the fit scales all affinities alike, and with the prior that rare experts get.
std::vector<double> SlowAffinity(const TokenPool& pool, const ServeTable& serve, int layer,
                                 int nodes) {
  constexpr double kPrior = 4;  // mean tokens of an expert
  const int experts = pool.model->experts, top_k = pool.model->top_k;
  std::vector<double> sum(experts * nodes, 0), mean(nodes, 0), chosen(experts, 0);
  double total = 0;
  for (const PooledToken& token : pool.tokens) {
    const uint16_t* ids = token.experts + size_t(layer) * top_k;
    for (int n = 0; n < nodes; ++n) {
      for (int i = 0; i < top_k; ++i) {
        const int at = serve.Serves(layer, n, ids[i]);
        int together = 0;
        for (int j = 0; j < top_k; ++j) {
          together += serve.Serves(layer, n, ids[j]) == at;
        }
        const double share = at == n ? 0 : double(token.weight) / together;
        sum[ids[i] * nodes + n] += share;
        mean[n] += share;
      }
    }
    for (int i = 0; i < top_k; ++i) {
      chosen[ids[i]] += token.weight;
      total += token.weight;
    }
  }
  const double prior = kPrior * total / (double(pool.tokens.size()) * top_k);
  for (int e = 0; e < experts; ++e) {
    for (int n = 0; n < nodes; ++n) {
      double& value = sum[e * nodes + n];
      value = serve.Serves(layer, n, e) == n
                  ? 0
                  : (value + prior * mean[n] / total) / (chosen[e] + prior);
    }
  }
  return sum;
}

TEST_P(GroupingModelTest, AffinityIsTheMeanShareOfAVisit) {
  const int nodes = GetParam(), layers = 2, experts = 24;
  Rng rng(11);
  const ModelSpec model = SmallModel(layers, experts, 6);
  const Topology topology = *Topology::Uniform(nodes, 2, 6);
  Traffic traffic = RandomTraffic(model, 20, 3, &rng);
  for (size_t r = 0; r < traffic.requests.size(); ++r) {
    traffic.requests[r].weight = r % 3 == 0 ? 2.5 : 1;
  }
  const Placement placement = RandomPlacement(model, topology, &rng);
  const RemoteChoice choice = RandomRemoteChoice(model, topology, placement, &rng);
  const ServeTable serve(model, topology, placement, choice);
  TokenPoolOptions options;
  options.phase = PhaseFilter::kDecode;
  options.other_phase_weight = 0.3;
  const TokenPool pool = MakeTokenPool(traffic, {}, options);
  InlineParallelFor parallel;
  const Grouping grouping =
      FitGrouping(pool, options.phase, serve, std::vector<double>(nodes, 1.0 / nodes), parallel);
  double scale = 0;
  for (int l = 0; l < layers; ++l) {
    const std::vector<double> want = SlowAffinity(pool, serve, l, nodes);
    for (size_t i = 0; i < want.size(); ++i) {
      const double got = grouping.affinity[l * want.size() + i];
      scale = scale == 0 && want[i] > 0 ? got / want[i] : scale;
      EXPECT_NEAR(got, scale * want[i], 1e-5);
    }
  }
  EXPECT_GT(scale, 0);
}

INSTANTIATE_TEST_SUITE_P(Nodes, GroupingModelTest, ::testing::Values(2, 8, 11));

}  // namespace
}  // namespace advisor
