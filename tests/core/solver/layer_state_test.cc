#include "core/solver/layer_state.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>
#include <vector>

#include "core/base/rng.h"
#include "core/solver/layer_start.h"
#include "core/solver/layer_traffic.h"
#include "core/solver/token_pool.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;

constexpr double kAnyCost = std::numeric_limits<double>::infinity();

struct Fixture {
  Traffic traffic;
  Topology topology;
  TokenPool pool;
  LayerTraffic layer;
};

// Whole tokens, and a few requests known only by sums, on nodes of unequal size.
Fixture MakeFixture(uint64_t seed, PhaseFilter phase) {
  Rng rng(seed);
  Fixture f;
  f.traffic = RandomTraffic(SmallModel(2, 10, 3), 20, 3, &rng);
  f.traffic.requests[4] = SumsOf(f.traffic.model, f.traffic.requests[4]);
  f.traffic.requests[5].weight = 2.5;
  f.topology = *Topology::Create({{"a", 2, 3, ""}, {"b", 1, 5, ""}, {"c", 3, 2, ""}});
  TokenPoolOptions options;
  options.phase = phase;
  options.other_phase_weight = 0.5;
  f.pool = MakeTokenPool(f.traffic, {}, options);
  std::vector<NodeId> homes;
  for (size_t r = 0; r < f.pool.requests.size(); ++r) {
    homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
  }
  f.layer = GatherLayer(f.pool, 1, homes, 3);
  return f;
}

LayerLimits TightLimits() {
  LayerLimits limits;
  limits.node_load_cap = 1.05;
  limits.gpu_load_cap = 1.1;
  limits.load_price = 0.7;
  limits.move_price = 11;
  return limits;
}

// A state built anew, at the same prices, out of what `state` holds and chooses: the slow recount.
LayerState Recount(const LayerState& state, absl::Span<const int16_t> in_force) {
  std::vector<int16_t> choice(size_t(state.traffic().nodes) * state.traffic().experts);
  state.ExportChoice(absl::MakeSpan(choice));
  LayerState fresh(state);
  fresh.Reset(state.row(), choice);
  fresh.SetInForce(in_force);
  return fresh;
}

// Visits by the definition, one token at a time.
int64_t CountVisits(const LayerState& state) {
  const LayerTraffic& t = state.traffic();
  int64_t visits = 0;
  for (int h = 0; h < t.nodes; ++h) {
    for (int token = t.first_word[h] * 64; token < t.first_word[h + 1] * 64; ++token) {
      std::set<int> nodes;
      for (int i = 0; i < t.top_k && t.weight[token] > 0; ++i) {
        nodes.insert(state.serve(t.Ids(token)[i], h));
      }
      nodes.erase(h);
      for (int n : nodes) {
        visits += state.Priced(h, n, t.weight[token]);
      }
    }
    for (int e = 0; e < t.experts; ++e) {
      const int lone = static_cast<int>(t.lone[size_t(e) * t.nodes + h]);
      visits += state.serve(e, h) != h ? state.Priced(h, state.serve(e, h), lone) : 0;
    }
  }
  return visits;
}

void ExpectEqual(const LayerState& kept, const LayerState& counted) {
  ASSERT_EQ(kept.visits(), counted.visits());
  ASSERT_EQ(kept.visits(), CountVisits(kept));
  ASSERT_EQ(kept.excess(), counted.excess());
  ASSERT_EQ(kept.moves(), counted.moves());
  ASSERT_NEAR(kept.Cost(), counted.Cost(), 1e-6);
  const LayerTraffic& t = kept.traffic();
  for (int set = 0; set < t.load_sets; ++set) {
    for (int n = 0; n < t.nodes; ++n) {
      ASSERT_EQ(kept.node_load(set, n), counted.node_load(set, n));
    }
    for (int g = 0; g < kept.topology().gpu_count(); ++g) {
      ASSERT_EQ(kept.gpu_load(set, g), counted.gpu_load(set, g));
    }
  }
  for (int e = 0; e < t.experts; ++e) {
    ASSERT_EQ(kept.holders(e), counted.holders(e));
    ASSERT_EQ(kept.copies(e), counted.copies(e));
    for (int h = 0; h < t.nodes; ++h) {
      ASSERT_EQ(kept.serve(e, h), counted.serve(e, h));
      for (int n = 0; n < t.nodes; ++n) {
        ASSERT_EQ(kept.gain(e, h, n), counted.gain(e, h, n))
            << "expert " << e << " home " << h << " node " << n;
      }
    }
  }
}

LayerMove RandomMove(const LayerState& state, Rng* rng) {
  const int slots = state.topology().slot_count();
  const int i = static_cast<int>(rng->Below(slots)), j = static_cast<int>(rng->Below(slots));
  const int a = state.expert_in(i), b = state.expert_in(j);
  LayerMove move;
  if (rng->Below(2) == 0) {  // swap
    if (a != kEmptySlot) {
      move.change[move.changes++] = {a, j, i};
    }
    if (b != kEmptySlot) {
      move.change[move.changes++] = {b, i, j};
    }
  } else {  // replace, or only drop
    const int e = static_cast<int>(rng->Below(state.traffic().experts));
    if (rng->Below(4) > 0) {
      move.change[move.changes++] = {e, i, -1};
    }
    if (a != kEmptySlot) {
      move.change[move.changes++] = {a, -1, i};
    }
  }
  if (a == b || i == j || move.changes == 0 ||
      (move.changes == 2 && move.change[0].expert == move.change[1].expert)) {
    return {};
  }
  return move;
}

bool Legal(const LayerState& state, const LayerMove& move) {
  bool legal = move.changes > 0;
  for (int k = 0; k < move.changes; ++k) {
    legal = legal && state.Legal(move.change[k]);
  }
  return legal;
}

// Limits under which modelled time is minimised, links and GPUs weighing about as much.
LayerLimits LatencyLimits() {
  LayerLimits limits = TightLimits();
  limits.latency = LatencyWeights{4, 0.3, 2};
  return limits;
}

class LayerStateTest
    : public ::testing::TestWithParam<std::tuple<PhaseFilter, LayerLimits (*)(), bool>> {};

TEST_P(LayerStateTest, StaysEqualToARecountOverThousandsOfMoves) {
  for (uint64_t seed : {1, 2, 3}) {
    const Fixture f = MakeFixture(seed, std::get<0>(GetParam()));
    const LayerLimits limits = std::get<1>(GetParam())();
    LayerState state(f.layer, f.topology, limits);
    const std::vector<int16_t> start = StartByDemand(f.layer, f.topology);
    state.Reset(start, {});
    state.SetInForce(start);
    if (std::get<2>(GetParam())) {
      state.PriceMessages();
    }
    Rng rng(seed);
    int applied = 0;
    for (int step = 0; step < 3000; ++step) {
      double delta = 0;
      const double before = state.Cost();
      if (rng.Below(4) == 0) {
        const int e = static_cast<int>(rng.Below(10)), h = static_cast<int>(rng.Below(3));
        const int n = static_cast<int>(rng.Below(3));
        if ((state.holders(e) >> h & 1) || !(state.holders(e) >> n & 1)) {
          continue;
        }
        ASSERT_TRUE(state.EvaluateChoice(e, h, n, kAnyCost, &delta));
        state.ApplyChoice(e, h, n);
      } else {
        const LayerMove move = RandomMove(state, &rng);
        if (!Legal(state, move)) {
          continue;
        }
        ASSERT_TRUE(state.Evaluate(move, kAnyCost, &delta));
        state.Apply(move);
      }
      ++applied;
      ASSERT_NEAR(state.Cost(), before + delta, 1e-6);
      if (step % 10 == 0) {
        ASSERT_NO_FATAL_FAILURE(ExpectEqual(state, Recount(state, start)));
      }
    }
    EXPECT_GT(applied, 500);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Phases, LayerStateTest,
    ::testing::Combine(::testing::Values(PhaseFilter::kAll, PhaseFilter::kDecode),
                       ::testing::Values(TightLimits, LatencyLimits), ::testing::Bool()));

TEST(LayerStateTest, OnlyMessagesFarAboveTheMeanCostMore) {
  const Fixture f = MakeFixture(3, PhaseFilter::kAll);
  LayerState state(f.layer, f.topology, TightLimits());
  state.Reset(StartByDemand(f.layer, f.topology), {});
  // By the definition, one token at a time.
  double message[3][3] = {}, sum = 0;
  for (int h = 0; h < 3; ++h) {
    for (int token = f.layer.first_word[h] * 64; token < f.layer.first_word[h + 1] * 64; ++token) {
      std::set<int> nodes;
      for (int i = 0; i < f.layer.top_k && f.layer.weight[token] > 0; ++i) {
        nodes.insert(state.serve(f.layer.Ids(token)[i], h));
      }
      nodes.erase(h);
      for (int n : nodes) {
        message[h][n] += f.layer.weight[token];
        sum += f.layer.weight[token];
      }
    }
    for (int e = 0; e < f.layer.experts; ++e) {
      const double lone = state.serve(e, h) != h ? double(f.layer.lone[size_t(e) * 3 + h]) : 0;
      message[h][state.serve(e, h)] += lone;
      sum += lone;
    }
  }
  EXPECT_EQ(state.Priced(0, 1, 6400), 6400);
  state.PriceMessages();
  int dear = 0;
  for (int h = 0; h < 3; ++h) {
    for (int n = 0; n < 3; ++n) {
      const double x = message[h][n] / (sum / 6);
      const double price = std::min(2.0, 1 + std::max(0.0, x - 1.5));
      EXPECT_NEAR(state.Priced(h, n, 6400), 6400 * price, 100) << h << " to " << n;
      dear += price > 1.02;
    }
  }
  EXPECT_GT(dear, 0);
}

TEST(LayerStateTest, RejectsExactlyWhatCostsMoreThanTheLimit) {
  const Fixture f = MakeFixture(4, PhaseFilter::kAll);
  LayerState state(f.layer, f.topology, TightLimits());
  state.Reset(StartByDemand(f.layer, f.topology), {});
  Rng rng(5);
  int taken = 0;
  for (int step = 0; step < 3000; ++step) {
    const LayerMove move = RandomMove(state, &rng);
    if (!Legal(state, move)) {
      continue;
    }
    double full = 0, limited = 0;
    ASSERT_TRUE(state.Evaluate(move, kAnyCost, &full));
    for (double limit : {full - 1, full + 1, -0.5, 40.0}) {
      ASSERT_EQ(state.Evaluate(move, limit, &limited), full <= limit);
    }
    if (state.Evaluate(move, 20, &limited)) {
      state.Apply(move);
      ++taken;
    }
  }
  EXPECT_GT(taken, 20);
}

TEST(LayerStateTest, EstimatesMovesOfTheOnlyCopyExactly) {
  const Fixture f = MakeFixture(8, PhaseFilter::kAll);
  LayerLimits limits;
  limits.load_price = 0;
  LayerState state(f.layer, f.topology, limits);
  state.Reset(StartByDemand(f.layer, f.topology), {});
  Rng rng(9);
  int compared = 0;
  for (int step = 0; step < 2000; ++step) {
    const LayerMove move = RandomMove(state, &rng);
    double delta;
    if (!Legal(state, move) || !state.Evaluate(move, kAnyCost, &delta)) {
      continue;
    }
    const CopyChange& c = move.change[0];
    if (move.changes == 1 && c.add >= 0 && c.drop >= 0 && state.copies(c.expert) == 1) {
      ++compared;
      ASSERT_EQ(state.MoveEstimate(c.expert, state.node_of(c.drop), state.node_of(c.add)), delta);
    }
    state.Apply(move);
  }
  EXPECT_GT(compared, 50);
}

TEST(LayerStateTest, KeepsWithinTheMoveBudget) {
  const Fixture f = MakeFixture(6, PhaseFilter::kDecode);
  LayerLimits limits = TightLimits();
  limits.max_moves = 3;
  limits.move_price = 0;
  LayerState state(f.layer, f.topology, limits);
  const std::vector<int16_t> start = StartByDemand(f.layer, f.topology);
  state.Reset(start, {});
  state.SetInForce(start);
  Rng rng(7);
  int most = 0;
  for (int step = 0; step < 2000; ++step) {
    double delta;
    const LayerMove move = RandomMove(state, &rng);
    if (Legal(state, move) && state.Evaluate(move, kAnyCost, &delta)) {
      state.Apply(move);
    }
    most = std::max(most, state.moves());
    ASSERT_LE(state.moves(), 3);
  }
  EXPECT_EQ(most, 3);
}

}  // namespace
}  // namespace advisor
