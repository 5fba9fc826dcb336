#include "core/solver/demand.h"

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;

TEST(DemandTest, SumsTokensOfThePhaseByHome) {
  Rng rng(3);
  const ModelSpec model = SmallModel(2, 6, 2);
  Traffic traffic = RandomTraffic(model, 9, 3, &rng);
  traffic.requests[1].weight = 2.5;
  traffic.requests[2] = SumsOf(model, traffic.requests[2]);
  std::vector<NodeId> homes;
  for (int i = 0; i < 9; ++i) {
    homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
  }
  InlineParallelFor parallel;
  const Demand got = DemandByHome(traffic, homes, 3, PhaseFilter::kDecode, parallel);
  Demand want = got;
  std::fill(want.cells.begin(), want.cells.end(), 0);
  for (int i = 0; i < 9; ++i) {
    const Request& r = traffic.requests[i];
    for (int l = 0; l < 2; ++l) {
      double* row = want.row(l, homes[i].value());
      for (int e = 0; e < 6; ++e) {
        row[e] += r.counts_only() ? r.counts[l * 6 + e] : 0;
      }
      for (int t = r.prompt_tokens; !r.counts_only() && t < r.tokens; ++t) {
        row[r.token(model, t, l)[0]] += r.weight;
        row[r.token(model, t, l)[1]] += r.weight;
      }
    }
  }
  EXPECT_EQ(got.cells, want.cells);
  const Demand pooled = PooledDemand(traffic, PhaseFilter::kDecode, parallel);
  for (int l = 0; l < 2; ++l) {
    for (int e = 0; e < 6; ++e) {
      EXPECT_DOUBLE_EQ(pooled.row(l, 0)[e],
                       want.row(l, 0)[e] + want.row(l, 1)[e] + want.row(l, 2)[e]);
    }
  }
}

}  // namespace
}  // namespace advisor
