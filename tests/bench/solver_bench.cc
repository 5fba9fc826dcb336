// How long solving takes: Google Benchmark, 58 layers x 256 experts on 288 slots unless said
// otherwise. `--benchmark_repetitions=9 --benchmark_report_aggregates_only` gives medians and
// spread. Counters: gpu_load (largest over mean, mean over layers) on the solver's own traffic,
// doubles (copies of one expert on one GPU), saving of inter-node bytes on requests not seen.

#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/rng.h"
#include "core/cost/evaluate.h"
#include "core/exec/thread_pool.h"
#include "core/solver/eplb.h"
#include "core/solver/methods.h"
#include "core/solver/solver.h"
#include "tests/bench/split.h"

namespace advisor::bench {
namespace {

constexpr int kLayers = 58, kExperts = 256, kTopK = 8, kGpus = 32, kSlots = 9;
constexpr double kRouted = 2e6;  // activations of a layer

ModelSpec BenchModel(int layers) {
  ModelSpec model;
  model.name = "bench";
  model.moe_layers = layers;
  model.experts = kExperts;
  model.top_k = kTopK;
  model.hidden_size = 7168;
  return model;
}

// Sums of one window with log-normal popularity, sd 1; a share `half_new` of it from a new domain
// of its own popularity.
Traffic Sums(int layers, double half_new) {
  Rng old_domain(1), new_domain(2);
  Traffic traffic;
  traffic.model = BenchModel(layers);
  Request r;
  r.id = "window";
  r.tokens = static_cast<int>(kRouted / kTopK);
  for (int l = 0; l < layers; ++l) {
    std::vector<double> a, b;
    double sum_a = 0, sum_b = 0;
    for (int e = 0; e < kExperts; ++e) {
      a.push_back(std::exp(old_domain.Normal()));
      b.push_back(std::exp(new_domain.Normal()));
      sum_a += a.back();
      sum_b += b.back();
    }
    for (int e = 0; e < kExperts; ++e) {
      const double share = (1 - half_new) * a[e] / sum_a + half_new * b[e] / sum_b;
      r.counts.push_back(static_cast<uint32_t>(std::lround(share * kRouted)));
    }
  }
  traffic.requests.push_back(std::move(r));
  return traffic;
}

Problem BalanceProblem(int layers, double half_new) {
  Problem problem;
  problem.model = BenchModel(layers);
  problem.topology = OrDie(Topology::Uniform(1, kGpus, kSlots));
  problem.traffic = Sums(layers, half_new);
  return problem;
}

void ReportBalance(const Problem& problem, const Placement& placement, benchmark::State& state) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = placement;
  const std::vector<NodeId> homes(problem.traffic.requests.size(), NodeId(0));
  const Figures figures = OrDie(Evaluate(plan, problem.traffic, homes, {}));
  int doubles = 0;
  for (int l = 0; l < placement.layers(); ++l) {
    std::set<std::pair<int, int>> seen;
    for (int s = 0; s < placement.slots(); ++s) {
      const int e = placement.row(LayerId(l))[s];
      doubles +=
          e != kEmptySlot && !seen.emplace(problem.topology.gpu_of(SlotId(s)).value(), e).second;
    }
  }
  state.counters["gpu_load"] = figures.gpu_load.mean;
  state.counters["doubles"] = doubles;
}

SolveParams BalanceParams() {
  SolveParams params;
  params.objective = Objective::kBalance;
  return params;
}

// The peers' rule, from loads to a placement: copies to the expert with most load per copy, packed
// by falling load onto the lightest GPU. On one thread, as they run it.
void BM_PeersRule(benchmark::State& state) {
  const Problem problem = BalanceProblem(kLayers, 0);
  std::vector<std::vector<double>> loads;
  const Request& r = problem.traffic.requests.front();
  for (int l = 0; l < kLayers; ++l) {
    loads.emplace_back(r.counts.begin() + int64_t{l} * kExperts,
                       r.counts.begin() + int64_t{l + 1} * kExperts);
  }
  Placement placement(kLayers, problem.topology.slot_count());
  for (auto _ : state) {
    for (int l = 0; l < kLayers; ++l) {
      const std::vector<int16_t> row = EplbRow(problem.model, problem.topology, loads[l]);
      std::copy(row.begin(), row.end(), placement.row(LayerId(l)).begin());
    }
  }
  ReportBalance(problem, placement, state);
}
BENCHMARK(BM_PeersRule)->Unit(benchmark::kMillisecond)->UseRealTime();

// The same rule as a method of ours: with every check, figure and bound that a plan has.
void BM_EplbMethod(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(static_cast<int>(state.range(0)));
  const Problem problem = BalanceProblem(kLayers, 0);
  SolveParams params = BalanceParams();
  params.method = Method::kEplb;
  SolveResult result;
  for (auto _ : state) {
    result = OrDie(Solve(problem, params, *pool));
  }
  ReportBalance(problem, result.placement, state);
}
BENCHMARK(BM_EplbMethod)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Objective balance with nothing in force: the search alone, without the checks around it.
void BM_BalanceColdSearch(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(static_cast<int>(state.range(0)));
  const Problem problem = BalanceProblem(kLayers, 0);
  SolveResult result;
  for (auto _ : state) {
    result = OrDie(SolveJoint(problem, BalanceParams(), *pool));
  }
  ReportBalance(problem, result.placement, state);
}
BENCHMARK(BM_BalanceColdSearch)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void BM_BalanceCold(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(static_cast<int>(state.range(0)));
  const Problem problem = BalanceProblem(kLayers, 0);
  SolveResult result;
  for (auto _ : state) {
    result = OrDie(Solve(problem, BalanceParams(), *pool));
  }
  ReportBalance(problem, result.placement, state);
}
BENCHMARK(BM_BalanceCold)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Repair of a balanced plan when half of the traffic is new. Arguments: threads, move budget in
// percent of all slots.
void BM_BalanceRepair(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(static_cast<int>(state.range(0)));
  const Problem old_traffic = BalanceProblem(kLayers, 0);
  Problem problem = BalanceProblem(kLayers, 0.5);
  problem.in_force = OrDie(Solve(old_traffic, BalanceParams(), *pool)).placement;
  SolveParams params = BalanceParams();
  params.max_moved_fraction = double(state.range(1)) / 100;
  SolveResult result;
  for (auto _ : state) {
    result = OrDie(Solve(problem, params, *pool));
  }
  ReportBalance(problem, result.placement, state);
  state.counters["moved_percent"] =
      100.0 * double(MovedSlots(problem.topology, *problem.in_force, result.placement)) /
      double(kLayers * problem.topology.slot_count());
}
BENCHMARK(BM_BalanceRepair)
    ->ArgNames({"threads", "budget"})
    ->Args({1, 6})
    ->Args({2, 6})
    ->Args({1, 14})
    ->Args({2, 14})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// Synthetic tokens of 8 domains on 8 nodes x 4 GPUs x 9 slots; the solver sees `tokens` a domain.
// Made once and kept: half is for the solver, half to judge on.
const Halves& JointTraffic(int layers, int tokens) {
  static std::map<std::pair<int, int>, Halves>& made = *new std::map<std::pair<int, int>, Halves>;
  const auto [it, fresh] = made.try_emplace({layers, tokens});
  if (fresh) {
    GeneratorOptions options = OrDie(Preset("deepseek-v3"));
    options.model.moe_layers = layers;
    options.model.hidden_layers = options.model.first_moe_layer + layers;
    options.domains = 8;
    options.tokens = 100;
    options.requests = 2 * options.domains * tokens / options.tokens;
    it->second = Split(OrDie(Generate(options)), 1);
  }
  return it->second;
}

Problem JointProblem(int layers, int tokens) {
  Problem problem;
  problem.traffic = JointTraffic(layers, tokens).train;
  problem.model = problem.traffic.model;
  problem.topology = OrDie(Topology::Uniform(8, 4, kSlots));
  return problem;
}

double HeldOutSaving(const Problem& problem, const SolveParams& params, ParallelFor& parallel,
                     int layers, int tokens) {
  const Plan plan =
      OrDie(SolvePlan(problem, JointTraffic(layers, tokens).holdout, params, nullptr, parallel));
  return plan.predicted->figures.saving_ratio.value_or(0);
}

// `joint`, standard, nothing in force. Arguments: threads, layers, tokens a domain.
void BM_JointCold(benchmark::State& state) {
  const int layers = static_cast<int>(state.range(1)), tokens = static_cast<int>(state.range(2));
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(static_cast<int>(state.range(0)));
  const Problem problem = JointProblem(layers, tokens);
  const SolveParams params;
  for (auto _ : state) {
    benchmark::DoNotOptimize(OrDie(Solve(problem, params, *pool)));
  }
  state.counters["saving"] = HeldOutSaving(problem, params, *pool, layers, tokens);
}
BENCHMARK(BM_JointCold)
    ->ArgNames({"threads", "layers", "tokens"})
    ->Args({1, 58, 4000})
    ->Args({2, 58, 4000})
    ->Args({2, 29, 4000})
    ->Args({2, 116, 4000})
    ->Args({2, 58, 1000})
    ->Args({2, 58, 2000})
    ->Args({2, 58, 8000})
    ->Args({2, 58, 16000})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

// The same, stopped after so many percent of its work, told by polls of should_stop, which come
// evenly over the work: what an early stop leaves of the saving.
void BM_JointStopped(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(2);
  const Problem problem = JointProblem(kLayers, 4000);
  std::atomic<int64_t> polls = 0;
  SolveParams params;
  params.should_stop = [&polls] { return ++polls < 0; };
  (void)OrDie(Solve(problem, params, *pool));
  const int64_t limit = polls * state.range(0) / 100;
  params.should_stop = [&polls, limit] { return ++polls > limit; };
  for (auto _ : state) {
    polls = 0;
    benchmark::DoNotOptimize(OrDie(Solve(problem, params, *pool)));
  }
  polls = 0;
  state.counters["saving"] = HeldOutSaving(problem, params, *pool, kLayers, 4000);
}
BENCHMARK(BM_JointStopped)
    ->ArgName("percent")
    ->Arg(0)
    ->Arg(12)
    ->Arg(25)
    ->Arg(50)
    ->Arg(75)
    ->Arg(100)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

// CPU seconds that the process has used, on all threads.
double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return double(now.tv_sec) + 1e-9 * double(now.tv_nsec);
}

double MedianCpuSecondsOf(const Problem& problem, ParallelFor& parallel) {
  std::vector<double> seconds;
  for (int run = 0; run < 3; ++run) {
    const double start = CpuSeconds();
    benchmark::DoNotOptimize(OrDie(Solve(problem, {}, parallel)));
    seconds.push_back(CpuSeconds() - start);
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[1];
}

// The same, told to stop after so many percent of the CPU time of the whole run. Counter
// time_percent: what the run took until it returned.
void BM_JointStoppedInTime(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(2);
  const Problem problem = JointProblem(kLayers, 4000);
  const double whole = MedianCpuSecondsOf(problem, *pool);
  const double limit = whole * double(state.range(0)) / 100;
  double start = 0, taken = 0;
  SolveParams params;
  params.should_stop = [&start, limit] { return CpuSeconds() - start > limit; };
  for (auto _ : state) {
    start = CpuSeconds();
    benchmark::DoNotOptimize(OrDie(Solve(problem, params, *pool)));
    taken += CpuSeconds() - start;
  }
  state.counters["time_percent"] = 100 * taken / (whole * double(state.iterations()));
  start = CpuSeconds();
  state.counters["saving"] = HeldOutSaving(problem, params, *pool, kLayers, 4000);
}
BENCHMARK(BM_JointStoppedInTime)
    ->ArgName("percent")
    ->Arg(0)
    ->Arg(12)
    ->Arg(25)
    ->Arg(40)
    ->Arg(50)
    ->Arg(60)
    ->Arg(75)
    ->Arg(200)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

// Warm repair: a plan in force for the same domains' other requests, 6 % of the slots may move.
void BM_JointRepair(benchmark::State& state) {
  const std::unique_ptr<ParallelFor> pool = MakeThreadPool(static_cast<int>(state.range(0)));
  Problem problem = JointProblem(kLayers, 4000);
  Problem before = problem;
  before.traffic = JointTraffic(kLayers, 4000).holdout;
  problem.in_force = OrDie(Solve(before, {}, *pool)).placement;
  SolveParams params;
  params.max_moved_fraction = 0.06;
  params.effort = Effort::kQuick;
  for (auto _ : state) {
    benchmark::DoNotOptimize(OrDie(Solve(problem, params, *pool)));
  }
  state.counters["saving"] = HeldOutSaving(problem, params, *pool, kLayers, 4000);
}
BENCHMARK(BM_JointRepair)
    ->ArgName("threads")
    ->Arg(1)
    ->Arg(2)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace advisor::bench

BENCHMARK_MAIN();
