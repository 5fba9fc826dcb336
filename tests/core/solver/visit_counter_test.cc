#include "core/solver/visit_counter.h"

#include "core/cost/evaluate.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

TEST(VisitCounterTest, CountsWhatRemoteVisitsCountsFromEveryNode) {
  Rng rng(3);
  const ModelSpec model = SmallModel(3, 12, 4);
  const Traffic traffic = RandomTraffic(model, 4, 2, &rng);
  const Topology topology = *Topology::Uniform(6, 1, 3);
  const ServeTable serve(model, topology, LinearPlacement(model, topology), RemoteChoice(3, 6, 12));
  const std::vector<int> layers = {2, 0};
  const VisitCounter counter(model, serve, 6, layers);
  for (const Request& r : traffic.requests) {
    for (int t = 0; t < r.tokens; ++t) {
      for (int l : layers) {
        const uint16_t* ids = r.token(model, t, l);
        std::vector<int64_t> visits(6, 10);  // added to what is there
        counter.Add(ids, l, visits.data());
        for (int n = 0; n < 6; ++n) {
          EXPECT_EQ(visits[n], 10 + RemoteVisits(ids, 4, serve.ServeRow(l, n), n));
        }
      }
    }
  }
}

}  // namespace
}  // namespace advisor
