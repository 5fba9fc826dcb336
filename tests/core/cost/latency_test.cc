#include "core/cost/latency.h"

#include <algorithm>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

// Milliseconds and busy share by the words of the header: bytes put on every link and experts' time
// put on every GPU, one token and one expert at a time.
StepEstimate Play(const Plan& plan, const Traffic& traffic, const std::vector<NodeId>& homes,
                  const TimeModel& time) {
  const int nodes = plan.topology.node_count(), gpus = plan.topology.gpu_count();
  const ModelSpec& model = plan.model;
  const ServeTable serve(model, plan.topology, plan.placement, plan.remote_choice);
  double total = 0, busy = 0, tokens = 0;
  for (const Request& r : traffic.requests) {
    tokens += r.tokens;
  }
  for (int l = 0; l < model.moe_layers; ++l) {
    std::vector<double> message(nodes * nodes, 0), activations(gpus, 0);
    for (size_t i = 0; i < homes.size(); ++i) {
      const int h = homes[i].value();
      const Request& r = traffic.requests[i];
      for (int t = 0; t < r.tokens; ++t) {
        std::vector<bool> visited(nodes, false);
        for (int k = 0; k < model.top_k; ++k) {
          const int e = r.token(model, t, l)[k];
          const int n = serve.Serves(l, h, e);
          std::vector<int> on;
          for (int s = 0; s < plan.topology.slot_count(); ++s) {
            if (plan.placement.row(LayerId(l))[s] == e &&
                plan.topology.node_of(SlotId(s)).value() == n) {
              on.push_back(plan.topology.gpu_of(SlotId(s)).value());
            }
          }
          for (int g : on) {
            activations[g] += 1.0 / double(on.size());
          }
          visited[n] = true;
        }
        for (int n = 0; n < nodes; ++n) {
          message[h * nodes + n] += visited[n] && n != h ? 1 : 0;
        }
      }
    }
    const double largest = *std::max_element(message.begin(), message.end());
    const double hottest = *std::max_element(activations.begin(), activations.end());
    const double bytes =
        model.hidden_size * (model.dispatch_bytes_per_value + model.combine_bytes_per_value);
    const double exchange = (nodes - 1) * largest * bytes / time.internode_gbytes_per_s;
    const double hand_out = hottest * bytes / time.intranode_gbytes_per_s;
    total += std::max(exchange, hand_out) + hottest * time.expert_ns_per_token;
    busy += tokens * model.top_k / gpus * time.expert_ns_per_token;
  }
  const double step = time.tokens_per_gpu * gpus;
  return {total / tokens * step * 1e-6, busy / total};
}

TEST(EstimateStepTest, IsTheSlowestLinkPlusTheSlowestGpu) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Plan plan;
    plan.model = SmallModel(3, 10, 3);
    plan.topology = *Topology::Create({{"a", 2, 3, ""}, {"b", 1, 5, ""}, {"c", 3, 2, ""}});
    plan.placement = RandomPlacement(plan.model, plan.topology, &rng);
    plan.remote_choice = RandomRemoteChoice(plan.model, plan.topology, plan.placement, &rng);
    const Traffic traffic = RandomTraffic(plan.model, 12, 3, &rng);
    std::vector<NodeId> homes;
    for (int i = 0; i < 12; ++i) {
      homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
    }
    TimeModel time{seed % 2 == 0 ? 0.05 : 5.0, 0.5, 20};
    time.tokens_per_gpu = 7;
    ASSERT_OK_AND_ASSIGN(const auto layers,
                         EvaluateLayers(plan, traffic, homes, {PhaseFilter::kAll}));
    double tokens = 0;
    for (const Request& r : traffic.requests) {
      tokens += r.tokens;
    }
    const auto got = EstimateStep(layers, tokens, plan.model, plan.topology, time);
    ASSERT_TRUE(got.has_value());
    const StepEstimate want = Play(plan, traffic, homes, time);
    EXPECT_NEAR(got->moe_ms, want.moe_ms, 1e-9 * want.moe_ms);
    EXPECT_NEAR(got->gpu_utilisation, want.gpu_utilisation, 1e-9);
  }
}

TEST(EstimateStepTest, NeedsTokensAndBytes) {
  ModelSpec model = SmallModel(1, 4, 1);
  const Topology topology = *Topology::Uniform(2, 1, 2);
  const std::vector<LayerFigures> layers(1, LayerFigures{10, 5, 5, 3, 1, 1});
  const TimeModel time{1, 1, 1};
  EXPECT_TRUE(EstimateStep(layers, 10, model, topology, time).has_value());
  EXPECT_FALSE(EstimateStep(layers, 0, model, topology, time).has_value());
  model.hidden_size = 0;
  EXPECT_FALSE(EstimateStep(layers, 10, model, topology, time).has_value());
}

}  // namespace
}  // namespace advisor
