#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "client/ctl/options.h"
#include "client/ctl/table.h"
#include "client/ctl/trial.h"
#include "core/base/status_macros.h"
#include "core/exec/thread_pool.h"
#include "core/io/deployment_file.h"
#include "core/io/plan_file.h"
#include "core/solver/solver.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

struct Options {
  std::string deployment;
  std::vector<std::string> traces, holdouts;
  SolveFlags flags;
  std::string phase = "decode", dispatch = "table";
  int seeds = 1, threads = 1;
  bool json = false;
};

constexpr Method kMethods[] = {Method::kJoint, Method::kPaper, Method::kGreedyCoactivation,
                               Method::kEplb, Method::kLinear};

// Calls visit(a's field, b's field) for every figure that both have.
template <typename Visit>
void ForEachFigure(Figures& a, const Figures& b, Visit visit) {
  const auto optional = [&visit](std::optional<double>& x, const std::optional<double>& y) {
    if (x.has_value() && y.has_value()) {
      visit(*x, *y);
    }
  };
  optional(a.remote_visits_per_token_layer, b.remote_visits_per_token_layer);
  optional(a.internode_bytes_per_token, b.internode_bytes_per_token);
  visit(a.remote_activation_ratio, b.remote_activation_ratio);
  visit(a.node_load.mean, b.node_load.mean);
  visit(a.node_load.worst, b.node_load.worst);
  visit(a.gpu_load.mean, b.gpu_load.mean);
  visit(a.gpu_load.worst, b.gpu_load.worst);
  optional(a.max_pair_message, b.max_pair_message);
  visit(a.home_token_max_over_mean, b.home_token_max_over_mean);
  optional(a.saving_ratio, b.saving_ratio);
  optional(a.remote_activation_saving_ratio, b.remote_activation_saving_ratio);
  optional(a.distinct_experts_per_microbatch, b.distinct_experts_per_microbatch);
}

// Mean over `runs`, of the same requests, and the standard deviation over them.
FiguresColumn Summarise(const std::string& title, const std::vector<Figures>& runs) {
  const auto n = static_cast<double>(runs.size());
  Figures mean = runs.front();
  ForEachFigure(mean, mean, [](double& x, double) { x = 0; });
  Figures spread = mean;
  for (const Figures& run : runs) {
    ForEachFigure(mean, run, [n](double& x, double y) { x += y / n; });
  }
  for (const Figures& run : runs) {
    Figures deviation = mean;
    ForEachFigure(deviation, run, [](double& x, double y) { x = (x - y) * (x - y); });
    ForEachFigure(spread, deviation, [n](double& x, double y) { x += y / n; });
  }
  ForEachFigure(spread, spread, [](double& x, double) { x = std::sqrt(x); });
  return {title, mean, spread, static_cast<int>(runs.size())};
}

void Print(const Options& o, const std::vector<FiguresColumn>& columns) {
  if (!o.json) {
    std::fputs(FiguresTable(columns).c_str(), stdout);
    return;
  }
  nlohmann::ordered_json methods = nlohmann::ordered_json::array();
  for (const FiguresColumn& column : columns) {
    nlohmann::ordered_json entry = {
        {"method", column.title},
        {"figures", nlohmann::ordered_json::parse(FiguresToJson(column.figures))}};
    if (column.runs > 1) {
      entry["spread"] = nlohmann::ordered_json::parse(FiguresToJson(column.spread));
      entry["spread"].erase("tokens");
      entry["seeds"] = column.runs;
    }
    methods.push_back(std::move(entry));
  }
  std::printf("%s\n", nlohmann::ordered_json{{"methods", methods}}.dump().c_str());
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Deployment deployment, ReadDeployment(o.deployment));
  ASSIGN_OR_RETURN(Traffic traffic, ReadTraces(o.traces));
  RETURN_IF_ERROR(CheckSameShape(o.traces.front(), traffic.model, o.deployment, deployment.model));
  ASSIGN_OR_RETURN(const Traffic holdout, ReadTraces(o.holdouts));
  RETURN_IF_ERROR(
      CheckSameShape(o.holdouts.front(), holdout.model, o.deployment, deployment.model));
  const std::unique_ptr<ParallelFor> parallel = MakeThreadPool(o.threads);
  const Problem problem = ProblemOf(deployment, std::move(traffic), nullptr);
  SolveParams params = o.flags.ToParams();
  params.phase = deployment.phase;
  std::vector<FiguresColumn> columns;
  for (Method method : kMethods) {
    params.method = method;
    std::vector<Figures> runs;
    for (int i = 0; i < o.seeds; ++i) {
      params.seed = o.flags.params.seed + i;
      ASSIGN_OR_RETURN(
          const Trial trial,
          SolveAndJudge(absl::StrCat("solving ", ToString(method), ", seed ", params.seed), problem,
                        params, holdout, {PhaseOf(o.phase), DispatchOf(o.dispatch)}, *parallel));
      runs.push_back(trial.figures);
    }
    columns.push_back(Summarise(ToString(method), runs));
  }
  Print(o, columns);
  return absl::OkStatus();
}

}  // namespace

void AddCompare(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("compare",
                                         "Every method side by side: each solves on --trace and is "
                                         "judged on --holdout, requests that none has seen, "
                                         "placed one by one as `assign` does");
  command
      ->add_option("--deployment", o->deployment,
                   "Deployment file (YAML); its phase is what is solved for")
      ->required();
  command->add_option("--trace", o->traces, "Routing trace to solve on; may be given several times")
      ->required();
  command
      ->add_option("--holdout", o->holdouts,
                   "Routing trace to judge on; may be given several times")
      ->required();
  command
      ->add_option("--seeds", o->seeds,
                   "Seeds to solve with, from --seed on; more than one gives mean and spread")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  AddPhaseOption(command, "Tokens judged", &o->phase);
  AddDispatchOption(command, &o->dispatch);
  AddSolveFlags(command, &o->flags);
  AddThreadsOption(command, &o->threads);
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
