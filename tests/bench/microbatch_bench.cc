// How many fewer experts a microbatch touches when `assign` splits a node's requests, on requests
// that the solver has not seen. A row per trace, topology and number of microbatches, means over
// the seeds of the split: distinct experts per layer and decode step of 8 requests of one
// microbatch, with
//   dealt    nodes and microbatches round-robin;
//   homes    nodes by `assign`, microbatches round-robin on each;
//   split    both by `assign`, one by one;
//   batch    the split with all prompts in view;
// what `split` and `batch` save of `homes` and of `dealt`, and how even the split leaves decode
// tokens (largest over mean of a node's microbatches, mean over nodes).

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "core/exec/thread_pool.h"
#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"
#include "core/solver/batch_assignment.h"
#include "core/solver/solver.h"
#include "tests/bench/split.h"

namespace advisor::bench {
namespace {

struct Row {
  const char* trace;
  int nodes, gpus, slots;
};
constexpr Row kRows[] = {{"deepseek-v2-lite", 2, 2, 16},
                         {"deepseek-v2-lite", 4, 2, 10},
                         {"gpt-oss-20b", 2, 2, 8},
                         {"gpt-oss-20b", 4, 2, 5},
                         {"synthetic-deepseek-v2-lite", 4, 2, 10},
                         {"synthetic-gpt-oss-20b", 4, 2, 5},
                         {"synthetic-qwen3-235b", 4, 8, 5}};

double Unevenness(const Traffic& traffic, const std::vector<NodeId>& homes,
                  const std::vector<Microbatch>& split, int nodes, int count) {
  std::vector<double> load(size_t(nodes) * count, 0);
  for (size_t i = 0; i < homes.size(); ++i) {
    const Request& r = traffic.requests[i];
    load[size_t(homes[i].value()) * count + split[i]] += r.tokens - r.prompt_tokens;
  }
  double sum = 0;
  for (int n = 0; n < nodes; ++n) {
    double largest = 0, total = 0;
    for (int m = 0; m < count; ++m) {
      largest = std::max(largest, load[size_t(n) * count + m]);
      total += load[size_t(n) * count + m];
    }
    sum += total > 0 ? largest / (total / count) : 1;
  }
  return sum / nodes;
}

void Run(const Row& row, const Traffic& all, int count, int seeds, ParallelFor& parallel) {
  double dealt = 0, by_homes = 0, split = 0, batch = 0, uneven = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    const Halves halves = Split(all, seed);
    Problem problem;
    problem.model = all.model;
    problem.topology = OrDie(Topology::Uniform(row.nodes, row.gpus, row.slots));
    problem.microbatches = count;
    problem.traffic = halves.train;
    SolveParams params;
    params.phase = PhaseFilter::kDecode;
    Traffic none;
    none.model = all.model;
    const Plan plan = OrDie(SolvePlan(problem, none, params, nullptr, parallel));
    const Traffic& judged = halves.holdout;
    const auto figure = [&](const std::vector<NodeId>& homes, const std::vector<Microbatch>& m) {
      return DistinctExpertsPerMicrobatch(judged, homes, m).value_or(0) / seeds;
    };
    const std::vector<NodeId> round_robin = DealRoundRobin(judged.requests.size(), row.nodes);
    const std::vector<NodeId> homes = AssignInOrder(plan, judged);
    const std::vector<Microbatch> in_order = SplitInOrder(plan, judged, homes, count);
    dealt += figure(round_robin, DealMicrobatches(round_robin, count));
    by_homes += figure(homes, DealMicrobatches(homes, count));
    split += figure(homes, in_order);
    batch += figure(homes, SplitBatch(plan, judged, homes, count));
    uneven += Unevenness(judged, homes, in_order, row.nodes, count) / seeds;
  }
  std::printf("| %s | %d | %d | %.2f | %.2f | %.2f | %.1f %% | %.1f %% | %.2f | %.1f %% | %.3f |\n",
              row.trace, row.nodes, count, dealt, by_homes, split, 100 * (1 - split / by_homes),
              100 * (1 - split / dealt), batch, 100 * (1 - batch / by_homes), uneven);
  std::fflush(stdout);
}

}  // namespace
}  // namespace advisor::bench

int main(int argc, char** argv) {
  int seeds = 3, requests = 400, threads = 1;
  std::string only;
  CLI::App app("Experts that a microbatch touches, split against dealt");
  app.add_option("--seeds", seeds, "Splits of the trace")->capture_default_str();
  app.add_option("--requests", requests, "Of a synthetic trace")->capture_default_str();
  app.add_option("--threads", threads)->capture_default_str();
  app.add_option("--only", only, "Traces whose name contains this");
  CLI11_PARSE(app, argc, argv);
  std::printf(
      "| trace | nodes | microbatches | dealt | homes | split | of homes | of dealt | batch | "
      "of homes | unevenness |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
  const std::unique_ptr<advisor::ParallelFor> pool = advisor::MakeThreadPool(threads);
  for (const auto& row : advisor::bench::kRows) {
    if (std::string(row.trace).find(only) != std::string::npos) {
      const advisor::Traffic all = advisor::bench::TrafficNamed(row.trace, requests);
      for (int count : {2, 4}) {
        advisor::bench::Run(row, all, count, seeds, *pool);
      }
    }
  }
  return 0;
}
