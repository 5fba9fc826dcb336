// What plans made for bytes, for balance and for latency do to the modelled time of a decode step,
// on requests that the solver has not seen, placed one by one. A row per trace, expert time and
// objective, means over the seeds of the split: MoE milliseconds of a step of 64 tokens on every
// GPU, how much less that is than the linear placement's with requests dealt round-robin, GPU
// utilisation, inter-node bytes saved, GPU load, largest pair message, gap to the lower bound on
// the solver's own traffic. Links: 50 GB/s a node, 450 GB/s a GPU. Modelled, never measured.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "core/exec/thread_pool.h"
#include "core/solver/solver.h"
#include "tests/bench/split.h"

namespace advisor::bench {
namespace {

struct Row {
  const char* trace;
  int nodes, gpus, slots;
};
constexpr Row kRows[] = {{"deepseek-v2-lite", 4, 2, 8},
                         {"deepseek-v2-lite", 4, 2, 10},
                         {"gpt-oss-20b", 4, 2, 4},
                         {"gpt-oss-20b", 4, 2, 5},
                         {"synthetic-deepseek-v2-lite", 4, 2, 10},
                         {"synthetic-gpt-oss-20b", 4, 2, 5},
                         {"synthetic-qwen3-235b", 4, 8, 5}};

void Run(const Row& row, const Traffic& all, double expert_ns, Method method, Objective objective,
         int seeds, ParallelFor& parallel) {
  double ms = 0, less = 0, busy = 0, saving = 0, gpu = 0, pair = 0, gap = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    const Halves halves = Split(all, seed);
    Problem problem;
    problem.model = all.model;
    problem.topology = OrDie(Topology::Uniform(row.nodes, row.gpus, row.slots));
    problem.time_model = TimeModel{50, 450, expert_ns};
    problem.traffic = halves.train;
    SolveParams params;
    params.method = method;
    params.phase = PhaseFilter::kDecode;
    params.objective = objective;
    const Plan plan = OrDie(SolvePlan(problem, halves.holdout, params, nullptr, parallel));
    const Figures& f = plan.predicted->figures;
    ms += *f.modelled_moe_ms_per_step / seeds;
    less += (1 - *f.modelled_moe_ms_per_step / *f.modelled_baseline_moe_ms_per_step) / seeds;
    busy += *f.modelled_gpu_utilisation / seeds;
    saving += *f.saving_ratio / seeds;
    gpu += f.gpu_load.mean / seeds;
    pair += *f.max_pair_message / seeds;
    gap += plan.bounds.gap_ratio.value_or(0) / seeds;
  }
  std::printf(
      "| %s | %dx%dx%d | %.0f | %s | %.3f | %.1f %% | %.1f %% | %.1f %% | %.3f | %.3f | "
      "%.1f %% |\n",
      row.trace, row.nodes, row.gpus, row.slots, expert_ns,
      method == Method::kLinear ? "linear" : ToString(objective), ms, 100 * less, 100 * busy,
      100 * saving, gpu, pair, 100 * gap);
  std::fflush(stdout);
}

}  // namespace
}  // namespace advisor::bench

int main(int argc, char** argv) {
  using advisor::Method;
  using advisor::Objective;
  int seeds = 3, requests = 400, threads = 1;
  std::string only;
  CLI::App app("Modelled step times of plans made for different objectives");
  app.add_option("--seeds", seeds, "Splits of the trace")->capture_default_str();
  app.add_option("--requests", requests, "Of a synthetic trace")->capture_default_str();
  app.add_option("--threads", threads)->capture_default_str();
  app.add_option("--only", only, "Traces whose name contains this");
  CLI11_PARSE(app, argc, argv);
  std::printf(
      "| trace | nodes x GPUs x slots | expert ns | plan for | MoE ms | less than linear | "
      "GPU use | bytes saved | GPU load | pair | gap |\n"
      "|---|---|---|---|---|---|---|---|---|---|---|\n");
  const std::unique_ptr<advisor::ParallelFor> pool = advisor::MakeThreadPool(threads);
  for (const auto& row : advisor::bench::kRows) {
    if (std::string(row.trace).find(only) == std::string::npos) {
      continue;
    }
    const advisor::Traffic all = advisor::bench::TrafficNamed(row.trace, requests);
    for (double expert_ns : {100.0, 900.0}) {
      const auto run = [&](Method method, Objective objective) {
        advisor::bench::Run(row, all, expert_ns, method, objective, seeds, *pool);
      };
      run(Method::kLinear, Objective::kLatency);
      run(Method::kJoint, Objective::kInternodeBytes);
      run(Method::kJoint, Objective::kBalance);
      run(Method::kJoint, Objective::kLatency);
    }
  }
  return 0;
}
