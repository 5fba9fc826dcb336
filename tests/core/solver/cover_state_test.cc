#include "core/solver/cover_state.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/cost/evaluate.h"
#include "core/solver/cover_search.h"
#include "core/solver/slot_moves.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;

constexpr double kAnyCost = std::numeric_limits<double>::infinity();

enum class Sums { kNone, kSome };

// One layer on nodes of unequal size, with spare copies, an empty slot and remote choices.
struct Fixture {
  Traffic traffic;
  std::vector<NodeId> homes;  // as the pool's requests, which are the traffic's in another order
  TokenPool pool;
  LayerTraffic layer;
  Plan plan;

  absl::Span<const int16_t> row() const { return plan.placement.row(LayerId(0)); }
  const std::vector<int16_t>& choice() const { return plan.remote_choice.cells(); }
};

void Make(uint64_t seed, Sums sums, PhaseFilter phase, double other_phase_weight, Fixture* f) {
  Rng rng(seed);
  f->traffic = RandomTraffic(SmallModel(1, 10, 4), 20, 3, &rng);
  if (sums == Sums::kSome) {
    f->traffic.requests[4] = SumsOf(f->traffic.model, f->traffic.requests[4]);
  }
  f->traffic.requests[5].weight = 2.5;
  f->plan.model = f->traffic.model;
  f->plan.topology = *Topology::Create({{"a", 2, 4, ""}, {"b", 1, 6, ""}, {"c", 3, 2, ""}});
  f->plan.placement = RandomPlacement(f->plan.model, f->plan.topology, &rng);
  f->plan.remote_choice =
      RandomRemoteChoice(f->plan.model, f->plan.topology, f->plan.placement, &rng);
  TokenPoolOptions options;
  options.phase = phase;
  options.other_phase_weight = other_phase_weight;
  f->pool = MakeTokenPool(f->traffic, {}, options);
  for (size_t r = 0; r < f->pool.requests.size(); ++r) {
    f->homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
  }
  f->layer = GatherLayer(f->pool, 0, f->homes, 3);
}

LayerLimits TightLimits() {
  LayerLimits limits;
  limits.node_load_cap = 1.05;
  limits.gpu_load_cap = 1.1;
  limits.load_price = 0.7;
  limits.move_price = 11;
  return limits;
}

LayerMove RandomMove(const CoverState& state, Rng* rng) {
  const auto slots = static_cast<uint32_t>(state.row().size());
  const int i = static_cast<int>(rng->Below(slots)), j = static_cast<int>(rng->Below(slots));
  if (IsSpare(state, i) && rng->Below(2) == 0) {
    return ReplaceCopy(state, i, static_cast<int>(rng->Below(state.traffic().experts)));
  }
  return SwapSlots(state, i, state.expert_in(i) == state.expert_in(j) ? i : j);
}

bool Apart(const CoverState& state, const LayerMove& move) {
  return IsLegal(state, move) &&
         (move.changes < 2 || move.change[0].expert != move.change[1].expert);
}

// Against a state made from nothing.
void ExpectSame(const CoverState& state, const CoverState& fresh) {
  EXPECT_EQ(state.visits(), fresh.visits());
  EXPECT_EQ(state.excess(), fresh.excess());
  EXPECT_EQ(state.moves(), fresh.moves());
  const Topology& topology = state.topology();
  for (int set = 0; set < state.traffic().load_sets; ++set) {
    for (int n = 0; n < topology.node_count(); ++n) {
      EXPECT_EQ(state.node_load(set, n), fresh.node_load(set, n));
      for (int e = 0; e < state.traffic().experts; ++e) {
        EXPECT_EQ(state.served(e, set, n), fresh.served(e, set, n));
      }
    }
    for (int g = 0; g < topology.gpu_count(); ++g) {
      EXPECT_EQ(state.gpu_load(set, g), fresh.gpu_load(set, g));
    }
  }
}

TEST(CoverStateTest, EveryMoveMatchesARecount) {
  for (uint64_t seed : {1, 2, 3}) {
    Fixture f;
    Make(seed, Sums::kSome, seed == 1 ? PhaseFilter::kAll : PhaseFilter::kDecode, 0.5, &f);
    const std::vector<int16_t> in_force(f.row().begin(), f.row().end());
    CoverState state(f.layer, f.plan.topology, TightLimits());
    CoverState fresh(f.layer, f.plan.topology, TightLimits());
    state.Reset(f.row(), f.choice());
    state.SetInForce(in_force);
    Rng rng(seed + 10);
    int applied = 0;
    for (int step = 0; step < 400; ++step) {
      const LayerMove move = RandomMove(state, &rng);
      double delta;
      if (!Apart(state, move) || !state.Evaluate(move, kAnyCost, &delta) || rng.Below(3) == 0) {
        continue;
      }
      const double before = state.Cost();
      state.Apply(move);
      EXPECT_NEAR(state.Cost() - before, delta, 1e-6);
      fresh.Reset(state.row(), f.choice());
      fresh.SetInForce(in_force);
      ExpectSame(state, fresh);
      ++applied;
    }
    EXPECT_GT(applied, 100);
  }
}

// The definition of the cost: Evaluate() of core/cost on the same placement.
TEST(CoverStateTest, VisitsAndLoadsAreThoseOfEvaluate) {
  for (Sums sums : {Sums::kNone, Sums::kSome}) {
    Fixture f;
    Make(4, sums, PhaseFilter::kDecode, 0, &f);
    std::vector<NodeId> homes(f.traffic.requests.size());
    for (size_t r = 0; r < f.homes.size(); ++r) {
      homes[f.pool.source[r]] = f.homes[r];
    }
    CoverState state(f.layer, f.plan.topology, TightLimits());
    state.Reset(f.row(), f.choice());
    Rng rng(5);
    for (int step = 0; step < 60; ++step) {
      const LayerMove move = RandomMove(state, &rng);
      double delta;
      if (!Apart(state, move) || !state.Evaluate(move, kAnyCost, &delta)) {
        continue;
      }
      state.Apply(move);
      std::copy(state.row().begin(), state.row().end(), f.plan.placement.row(LayerId(0)).begin());
      state.ExportChoice(absl::MakeSpan(f.plan.remote_choice.cells()));
      ASSERT_OK_AND_ASSIGN(
          const std::vector<LayerFigures> layers,
          EvaluateLayers(f.plan, f.traffic, homes, {PhaseFilter::kDecode, Dispatch::kCover}));
      const double unit = double(f.layer.total_demand[0]) / layers[0].activations;
      if (sums == Sums::kNone) {
        EXPECT_NEAR(double(state.visits()), unit * layers[0].visits, 1e-6 * unit);
      }
      const double mean = double(f.layer.total_demand[0]) / f.plan.topology.gpu_count();
      double node = 0, gpu = 0;
      for (int n = 0; n < f.plan.topology.node_count(); ++n) {
        node = std::max(node, double(state.node_load(0, n)) / f.plan.topology.gpus_on(NodeId(n)));
      }
      for (int g = 0; g < f.plan.topology.gpu_count(); ++g) {
        gpu = std::max(gpu, double(state.gpu_load(0, g)));
      }
      EXPECT_NEAR(node / mean, layers[0].node_load, 1e-9);
      EXPECT_NEAR(gpu / mean, layers[0].gpu_load, 1e-3);  // shares of a copy are whole numbers
    }
  }
}

TEST(CoverStateTest, KeepsToTheMovesItMayMake) {
  Fixture f;
  Make(6, Sums::kNone, PhaseFilter::kDecode, 0.5, &f);
  LayerLimits limits = TightLimits();
  limits.max_moves = 2;
  limits.move_price = 0;
  CoverState state(f.layer, f.plan.topology, limits);
  state.Reset(f.row(), {});
  state.SetInForce(f.row());
  AnnealSchedule schedule;
  schedule.work = 200'000;
  SearchCover(state, schedule, Rng(1), {});
  EXPECT_LE(state.moves(), 2);
  EXPECT_GT(state.moves(), 0);
}

// Against every way to put 6 experts into three nodes of three slots.
TEST(CoverSearchTest, ReachesTheOptimumOfTinyLayers) {
  for (uint64_t seed : {1, 2, 3, 4}) {
    Rng rng(seed);
    const Traffic traffic = RandomTraffic(SmallModel(1, 6, 3), 12, 3, &rng);
    const Topology topology = *Topology::Uniform(3, 1, 3);
    const TokenPool pool = MakeTokenPool(traffic, {}, {});
    std::vector<NodeId> homes;
    for (size_t r = 0; r < pool.requests.size(); ++r) {
      homes.push_back(NodeId(static_cast<int>(r % 3)));
    }
    const LayerTraffic layer = GatherLayer(pool, 0, homes, 3);
    LayerLimits limits;
    limits.node_load_cap = limits.gpu_load_cap = 3;  // bind nothing
    CoverState state(layer, topology, limits);
    int64_t least = std::numeric_limits<int64_t>::max();
    std::vector<std::vector<int16_t>> triples;
    for (int16_t a = 0; a < 6; ++a) {
      for (int16_t b = a + 1; b < 6; ++b) {
        for (int16_t c = b + 1; c < 6; ++c) {
          triples.push_back({a, b, c});
        }
      }
    }
    for (const auto& x : triples) {
      for (const auto& y : triples) {
        for (const auto& z : triples) {
          std::vector<int16_t> row = x;
          row.insert(row.end(), y.begin(), y.end());
          row.insert(row.end(), z.begin(), z.end());
          int held = 0;
          for (int16_t e : row) {
            held |= 1 << e;
          }
          if (held == 63) {
            state.Reset(row, {});
            least = std::min(least, state.visits());
          }
        }
      }
    }
    state.Reset(std::vector<int16_t>{0, 1, kEmptySlot, 2, 3, kEmptySlot, 4, 5, kEmptySlot}, {});
    AnnealSchedule schedule;
    schedule.hot = 0.2;
    schedule.cold = 0.005;
    schedule.work = 1'000'000;
    SearchCover(state, schedule, Rng(seed), {});
    EXPECT_EQ(state.visits(), least);
  }
}

TEST(CoverSearchTest, AStopLeavesAValidRow) {
  Fixture f;
  Make(7, Sums::kSome, PhaseFilter::kAll, 0.5, &f);
  for (int stop_after : {0, 1, 5}) {
    CoverState state(f.layer, f.plan.topology, TightLimits());
    state.Reset(f.row(), f.choice());
    int polls = 0;
    AnnealSchedule schedule;
    schedule.work = 1'000'000;
    SearchCover(state, schedule, Rng(1), [&] { return ++polls > stop_after; });
    std::copy(state.row().begin(), state.row().end(), f.plan.placement.row(LayerId(0)).begin());
    state.ExportChoice(absl::MakeSpan(f.plan.remote_choice.cells()));
    EXPECT_THAT(
        ValidatePlacement(f.plan.model, f.plan.topology, f.plan.placement, f.plan.remote_choice),
        ::advisor::testing::IsOk());
    EXPECT_LE(polls, stop_after + 8);
  }
}

}  // namespace
}  // namespace advisor
