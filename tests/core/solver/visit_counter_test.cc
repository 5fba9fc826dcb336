#include "core/solver/visit_counter.h"

#include <algorithm>

#include "core/cost/evaluate.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

// Nodes: of every width of lane, and lanes that do not fill their word.
class VisitCounterTest : public ::testing::TestWithParam<int> {};

TEST_P(VisitCounterTest, CountsWhatRemoteVisitsCountsFromEveryNode) {
  const int nodes = GetParam(), layers = 70, top_k = 8;
  Rng rng(3);
  const ModelSpec model = SmallModel(layers, 130, top_k);
  const Traffic traffic = RandomTraffic(model, 3, 2, &rng);
  const Topology topology = *Topology::Uniform(nodes, 1, (130 + nodes - 1) / nodes);
  const ServeTable serve(model, topology, LinearPlacement(model, topology),
                         RemoteChoice(layers, nodes, 130));
  std::vector<int> counted;  // in falling order, some left out; more than the sums of a lane hold
  for (int l = layers - 1; l >= 0; l -= l % 7 == 0 ? 2 : 1) {
    counted.push_back(l);
  }
  const VisitCounter counter(model, serve, nodes, counted);
  for (const Request& r : traffic.requests) {
    for (int t = 0; t < r.tokens; ++t) {
      std::vector<int64_t> visits(nodes, 10);  // added to what is there
      counter.Add(r.token(model, t, 0), 3, visits.data());
      for (int n = 0; n < nodes; ++n) {
        int64_t want = 10;
        for (int l : counted) {
          want += 3 * RemoteVisits(r.token(model, t, l), top_k, serve.ServeRow(l, n), n);
        }
        EXPECT_EQ(visits[n], want);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Lanes, VisitCounterTest,
                         ::testing::Values(1, 3, 8, 9, 16, 20, 32, 40, 64));

TEST(VisitCounterTest, NoLayersCountNothing) {
  const ModelSpec model = SmallModel(2, 4, 2);
  const Topology topology = *Topology::Uniform(2, 1, 2);
  const ServeTable serve(model, topology, LinearPlacement(model, topology), RemoteChoice(2, 2, 4));
  const VisitCounter counter(model, serve, 2, {});
  const std::vector<uint16_t> experts = {0, 1, 2, 3};
  std::vector<int64_t> visits(2, 5);
  counter.Add(experts.data(), 1, visits.data());
  EXPECT_EQ(visits, std::vector<int64_t>({5, 5}));
}

}  // namespace
}  // namespace advisor
