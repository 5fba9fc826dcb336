// What repairing a balanced plan costs in moved slots, and how level it leaves the GPUs.
//
// Experts have log-normal popularity (sd 1), the same number of routed tokens in every layer. A
// plan balanced for that traffic is repaired, under several move budgets, for what the traffic has
// become: unchanged; drifted (every popularity times a log-normal of sd 0.1); half of it from a new
// domain of its own popularity. Prints a line per traffic and budget: slots moved of all, GPU load
// (largest over mean; mean and worst over layers), doubles of an expert on a GPU, and time.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/rng.h"
#include "core/cost/evaluate.h"
#include "core/exec/thread_pool.h"
#include "core/solver/moves.h"
#include "core/solver/solver.h"

namespace advisor {
namespace {

struct Options {
  int layers = 58, experts = 256, top_k = 8, nodes = 1, gpus = 32, slots = 9, threads = 2;
  double routed = 2e6;  // activations of a layer
  uint64_t seed = 1;
  std::string effort = "standard";
};

using Popularity = std::vector<std::vector<double>>;  // [layers][experts], sums to 1 in a layer

void Normalise(Popularity& p) {
  for (std::vector<double>& layer : p) {
    double sum = 0;
    for (double x : layer) {
      sum += x;
    }
    for (double& x : layer) {
      x /= sum;
    }
  }
}

Popularity LogNormal(const Options& o, double sd, Rng rng) {
  Popularity p(o.layers, std::vector<double>(o.experts));
  for (std::vector<double>& layer : p) {
    for (double& x : layer) {
      x = std::exp(sd * rng.Normal());
    }
  }
  return p;
}

Traffic TrafficOf(const Options& o, const ModelSpec& model, Popularity p) {
  Normalise(p);
  Traffic traffic;
  traffic.model = model;
  const int parts = o.nodes;  // of equal demand, so that every node can be home to one
  for (int i = 0; i < parts; ++i) {
    Request r;
    r.id = "part " + std::to_string(i);
    r.tokens = static_cast<int>(o.routed / o.top_k / parts);
    for (const std::vector<double>& layer : p) {
      for (double x : layer) {
        r.counts.push_back(static_cast<uint32_t>(std::lround(x * o.routed / parts)));
      }
    }
    traffic.requests.push_back(std::move(r));
  }
  return traffic;
}

int Doubles(const Topology& topology, const Placement& placement) {
  int doubles = 0;
  for (int l = 0; l < placement.layers(); ++l) {
    std::set<std::pair<int, int>> seen;
    for (int s = 0; s < topology.slot_count(); ++s) {
      const int e = placement.row(LayerId(l))[s];
      doubles += e != kEmptySlot && !seen.emplace(topology.gpu_of(SlotId(s)).value(), e).second;
    }
  }
  return doubles;
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "moves_bench: %s\n", value.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(value);
}

Figures FiguresOf(const Problem& problem, const SolveResult& result) {
  Plan plan;
  plan.model = problem.model;
  plan.topology = problem.topology;
  plan.placement = result.placement;
  plan.remote_choice = result.remote_choice;
  return OrDie(Evaluate(plan, problem.traffic, result.homes, {}));
}

class Bench {
 public:
  explicit Bench(const Options& o)
      : o_(o), parallel_(MakeThreadPool(o.threads)), old_(LogNormal(o, 1, Rng(o.seed).Fork(1))) {
    Normalise(old_);
    problem_.model.name = "bench";
    problem_.model.moe_layers = o.layers;
    problem_.model.experts = o.experts;
    problem_.model.top_k = o.top_k;
    problem_.model.hidden_size = 7168;
    problem_.topology = OrDie(Topology::Uniform(o.nodes, o.gpus / o.nodes, o.slots));
  }

  void Run() {
    Repair("cold", old_, {1});
    const std::vector<double> budgets = {0, 0.01, 0.02, 0.04, 0.06, 0.10, 0.14, 0.20};
    Repair("unchanged", old_, {1, 0.06});
    Popularity drifted = LogNormal(o_, 0.1, Rng(o_.seed).Fork(2)),
               mixed = LogNormal(o_, 1, Rng(o_.seed).Fork(3));
    Normalise(mixed);
    for (int l = 0; l < o_.layers; ++l) {
      for (int e = 0; e < o_.experts; ++e) {
        drifted[l][e] *= old_[l][e];
        mixed[l][e] = (mixed[l][e] + old_[l][e]) / 2;
      }
    }
    Repair("drift", drifted, budgets);
    Repair("half new", mixed, budgets);
  }

 private:
  void Repair(const char* name, const Popularity& p, const std::vector<double>& budgets) {
    problem_.traffic = TrafficOf(o_, problem_.model, p);
    for (double budget : budgets) {
      SolveParams params;
      params.objective = Objective::kBalance;
      params.effort = *ParseEffort(o_.effort);
      params.max_moved_fraction = budget;
      const auto start = std::chrono::steady_clock::now();
      SolveResult result = OrDie(Solve(problem_, params, *parallel_));
      const double ms =
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
              .count();
      const Figures f = FiguresOf(problem_, result);
      const size_t moved = problem_.in_force.has_value()
                               ? MovesBetween(problem_.model, problem_.topology, *problem_.in_force,
                                              result.placement)
                                     .size()
                               : 0;
      std::printf(
          "%-10s budget %5.1f %%  moved %5.2f %%  GPU load %.4f worst %.4f  doubles %d  %.1f ms\n",
          name, 100 * budget, 100.0 * double(moved) / (o_.layers * problem_.topology.slot_count()),
          f.gpu_load.mean, f.gpu_load.worst, Doubles(problem_.topology, result.placement), ms);
      if (!problem_.in_force.has_value()) {
        problem_.in_force = std::move(result.placement);
      }
    }
  }

  Options o_;
  std::unique_ptr<ParallelFor> parallel_;
  Popularity old_;
  Problem problem_;
};

}  // namespace
}  // namespace advisor

int main(int argc, char** argv) {
  advisor::Options o;
  CLI::App app("Repairs a balanced plan under move budgets");
  app.add_option("--layers", o.layers)->capture_default_str();
  app.add_option("--experts", o.experts)->capture_default_str();
  app.add_option("--nodes", o.nodes, "Nodes that share the GPUs evenly")->capture_default_str();
  app.add_option("--gpus", o.gpus)->capture_default_str();
  app.add_option("--slots", o.slots, "Slots of a GPU")->capture_default_str();
  app.add_option("--threads", o.threads)->capture_default_str();
  app.add_option("--seed", o.seed)->capture_default_str();
  app.add_option("--effort", o.effort)
      ->check(CLI::IsMember({"quick", "standard", "thorough"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  advisor::Bench(o).Run();
  return 0;
}
