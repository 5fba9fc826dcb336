#include "core/solver/eplb.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/solver/solver.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::SmallModel;
using ::testing::UnorderedElementsAreArray;

using GpuSet = std::multiset<int>;

// What every GPU holds, for comparisons up to the order of slots inside a GPU.
std::vector<GpuSet> GpuSets(const Topology& topology, absl::Span<const int16_t> row) {
  std::vector<GpuSet> sets(topology.gpu_count());
  for (int s = 0; s < topology.slot_count(); ++s) {
    sets[topology.gpu_of(SlotId(s)).value()].insert(row[s]);
  }
  return sets;
}

Placement OneLayer(const std::vector<int16_t>& row) {
  Placement p(1, static_cast<int>(row.size()));
  std::copy(row.begin(), row.end(), p.cells().begin());
  return p;
}

// Largest over mean load of a GPU when copies share an expert's load evenly: EPLB's own measure.
double MaxOverMean(const Topology& topology, absl::Span<const int16_t> row,
                   absl::Span<const double> load) {
  std::vector<int> copies(load.size(), 0);
  double total = 0;
  for (int16_t e : row) {
    copies[e] += e != kEmptySlot;
  }
  for (double x : load) {
    total += x;
  }
  std::vector<double> gpu(topology.gpu_count(), 0);
  for (int s = 0; s < topology.slot_count(); ++s) {
    gpu[topology.gpu_of(SlotId(s)).value()] += load[row[s]] / copies[row[s]];
  }
  return *std::max_element(gpu.begin(), gpu.end()) / (total / topology.gpu_count());
}

// The worked example of DeepSeek's README: 12 experts in 4 groups, 16 replicas, 2 nodes of 4 GPUs.
TEST(EplbTest, AgreesWithThePublishedExample) {
  ModelSpec model = SmallModel(2, 12, 1);
  model.expert_groups = 4;
  const Topology topology = *Topology::Uniform(2, 4, 2);
  ASSERT_TRUE(EplbIsHierarchical(model, topology));
  const std::vector<std::vector<double>> load = {
      {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86},
      {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}};
  const std::vector<std::vector<int16_t>> want = {
      {5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1},
      {7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}};
  for (int l = 0; l < 2; ++l) {
    SCOPED_TRACE(l);
    const std::vector<int16_t> row = EplbRow(model, topology, load[l]);
    const std::vector<GpuSet> got_sets = GpuSets(topology, row),
                              want_sets = GpuSets(topology, want[l]);
    // The order of GPUs inside a node, and of nodes, is free.
    std::set<std::multiset<GpuSet>> got_nodes, want_nodes;
    for (int first : {0, 4}) {
      got_nodes.insert({got_sets.begin() + first, got_sets.begin() + first + 4});
      want_nodes.insert({want_sets.begin() + first, want_sets.begin() + first + 4});
    }
    EXPECT_EQ(got_nodes, want_nodes);
    EXPECT_DOUBLE_EQ(MaxOverMean(topology, row, load[l]), MaxOverMean(topology, want[l], load[l]));
  }
}

std::vector<double> LogNormalLoad(int experts, double sd, Rng* rng) {
  std::vector<double> load;
  for (int e = 0; e < experts; ++e) {
    load.push_back(std::exp(sd * rng->Normal()));
  }
  return load;
}

// 2 M routed tokens a layer by log-normal popularity, 288 slots on 32 GPUs: every global greedy
// reaches 1.005.
TEST(EplbTest, BalancesFiftyEightLayersTo1005) {
  const ModelSpec model = SmallModel(58, 256, 8);
  const Topology topology = *Topology::Uniform(4, 8, 9);
  Rng rng(1);
  double mean = 0;
  for (int l = 0; l < 58; ++l) {
    std::vector<double> load = LogNormalLoad(256, 1, &rng);
    double total = 0;
    for (double x : load) {
      total += x;
    }
    for (double& x : load) {
      x = std::floor(x / total * 2e6 * 8);
    }
    const std::vector<int16_t> row = EplbRow(model, topology, load);
    ASSERT_THAT(ValidatePlacement(SmallModel(1, 256, 8), topology, OneLayer(row), {}), IsOk());
    mean += MaxOverMean(topology, row, load) / 58;
  }
  EXPECT_LE(mean, 1.0055);
}

// Doubles are likeliest with few GPUs, much skew and many spare slots.
TEST(EplbTest, NeverPutsTwoCopiesOnOneGpu) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    const int experts = 4 + static_cast<int>(rng.Below(12));
    std::vector<NodeSpec> nodes;
    int slots = 0;
    while (slots < experts || rng.Below(3) == 0) {
      const int gpus = 1 + static_cast<int>(rng.Below(3)),
                per_gpu = 1 + static_cast<int>(rng.Below(6));
      nodes.push_back({absl::StrCat("n", nodes.size()), gpus, per_gpu, ""});
      slots += gpus * per_gpu;
    }
    const Topology topology = *Topology::Create(nodes);
    const std::vector<int16_t> row =
        EplbRow(SmallModel(1, experts, 1), topology, LogNormalLoad(experts, 2, &rng));
    EXPECT_THAT(ValidatePlacement(SmallModel(1, experts, 1), topology, OneLayer(row), {}), IsOk());
    // Slots stay empty only on a GPU that holds everything, or when every expert is on every GPU it
    // can be on.
    const std::vector<GpuSet> sets = GpuSets(topology, row);
    for (int g = 0; g < topology.gpu_count(); ++g) {
      if (sets[g].count(kEmptySlot) > 0 &&
          static_cast<int>(sets[g].size() - sets[g].count(kEmptySlot)) < experts) {
        ADD_FAILURE() << "GPU " << g << " has an empty slot and lacks an expert";
      }
    }
  }
}

TEST(EplbTest, CopiesFollowLoad) {
  const Topology topology = *Topology::Uniform(1, 4, 2);
  const std::vector<double> load = {100, 10, 10, 10, 10};
  const std::vector<int16_t> row = EplbRow(SmallModel(1, 5, 1), topology, load);
  EXPECT_THAT(row, UnorderedElementsAreArray({0, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(SolveEplbTest, SharesLoadOverCopiesFromEveryHome) {
  // Expert 0 is as hot as all others together; with two copies on two of four nodes every holder
  // should serve half of it.
  Problem problem;
  problem.model = SmallModel(1, 4, 1);
  problem.topology = *Topology::Uniform(4, 1, 2);
  problem.traffic.model = problem.model;
  for (int i = 0; i < 8; ++i) {
    Request r;
    r.id = absl::StrCat("r", i);
    r.tokens = 12;
    r.counts = {6, 2, 2, 2};
    problem.traffic.requests.push_back(r);
  }
  SolveParams params;
  params.method = Method::kEplb;
  InlineParallelFor parallel;
  ASSERT_OK_AND_ASSIGN(const SolveResult result, Solve(problem, params, parallel));
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  plan.remote_choice = result.remote_choice;
  ASSERT_OK_AND_ASSIGN(const Figures figures, Evaluate(plan, problem.traffic, result.homes, {}));
  EXPECT_NEAR(figures.gpu_load.mean, 1, 0.2);
  EXPECT_TRUE(result.grouping.empty());
}

}  // namespace
}  // namespace advisor
