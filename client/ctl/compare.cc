#include "client/ctl/compare.h"

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
#include "core/io/atomic_file.h"
#include "core/io/deployment_file.h"
#include "core/io/plan_file.h"
#include "core/solver/solver.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string deployment;
  std::vector<std::string> traces, holdouts;
  SolveFlags flags;
  std::string phase = "decode";
  std::string html;
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
  optional(a.modelled_moe_ms_per_step, b.modelled_moe_ms_per_step);
  optional(a.modelled_gpu_utilisation, b.modelled_gpu_utilisation);
  optional(a.modelled_baseline_moe_ms_per_step, b.modelled_baseline_moe_ms_per_step);
  optional(a.modelled_baseline_gpu_utilisation, b.modelled_baseline_gpu_utilisation);
}

// [layers, nodes, experts]
std::vector<bool> Holders(const Plan& plan) {
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  std::vector<bool> out;
  for (int l = 0; l < plan.model.moe_layers; ++l) {
    for (int n = 0; n < plan.topology.node_count(); ++n) {
      for (int e = 0; e < plan.model.experts; ++e) {
        out.push_back(serve.Holders(l, e) >> n & 1);
      }
    }
  }
  return out;
}

absl::StatusOr<MethodResult> RunMethod(const Options& o, Method method, const Problem& problem,
                                       SolveParams params, const Traffic& holdout,
                                       ParallelFor& parallel) {
  const EvaluateOptions judged{PhaseOf(o.phase), DispatchOf(o.flags.dispatch), problem.time_model};
  MethodResult result;
  result.method = ToString(method);
  params.method = method;
  for (int i = 0; i < o.seeds; ++i) {
    params.seed = o.flags.params.seed + i;
    ASSIGN_OR_RETURN(const Trial trial,
                     SolveAndJudge(absl::StrCat("solving ", result.method, ", seed ", params.seed),
                                   problem, params, holdout, judged, parallel));
    result.seeds.push_back(params.seed);
    result.runs.push_back(trial.figures);
    if (i == 0) {
      ASSIGN_OR_RETURN(result.domains, SavingByDomain(trial.plan, holdout, trial.homes, judged));
      ASSIGN_OR_RETURN(result.layers, EvaluateLayers(trial.plan, holdout, trial.homes, judged));
      result.demand =
          DemandByHome(holdout, trial.homes, problem.topology.node_count(), judged.phase);
      result.held = Holders(trial.plan);
    }
  }
  return result;
}

void PrintText(const Comparison& comparison) {
  std::vector<FiguresColumn> columns;
  std::vector<std::string> titles = {"saving by domain"};
  for (const MethodResult& result : comparison.methods) {
    columns.push_back(Summarise(result));
    titles.push_back(result.method);
  }
  std::fputs(FiguresTable(columns).c_str(), stdout);
  Table domains(std::move(titles));
  const std::vector<DomainSaving>& names = comparison.methods.front().domains;
  for (size_t d = 0; d < names.size(); ++d) {
    std::vector<std::string> cells = {DomainLabel(names[d].domain)};
    for (const MethodResult& result : comparison.methods) {
      const std::optional<double>& saving = result.domains[d].saving_ratio;
      cells.push_back(saving.has_value() ? Percent(*saving) : "-");
    }
    domains.AddRow(std::move(cells));
  }
  std::printf("\n%s", domains.ToText().c_str());
}

Json DetailsOf(const MethodResult& result, const std::vector<LayerFigures>& linear) {
  Json domains = Json::array(), layers = Json::array();
  for (const DomainSaving& d : result.domains) {
    domains.push_back({{"domain", d.domain}, {"tokens", d.tokens}});
    if (d.saving_ratio.has_value()) {
      domains.back()["saving_ratio"] = *d.saving_ratio;
    }
  }
  for (size_t l = 0; l < result.layers.size(); ++l) {
    const LayerFigures& layer = result.layers[l];
    layers.push_back({{"node_load", layer.node_load}, {"gpu_load", layer.gpu_load}});
    if (linear[l].visits > 0) {
      layers.back()["saving_ratio"] = 1 - layer.visits / linear[l].visits;
    }
  }
  return {{"domains", domains}, {"layers", layers}};
}

void PrintJson(const Comparison& comparison) {
  Json methods = Json::array();
  for (const MethodResult& result : comparison.methods) {
    const FiguresColumn column = Summarise(result);
    Json entry = {{"method", result.method},
                  {"figures", Json::parse(FiguresToJson(column.figures))}};
    if (column.runs > 1) {
      entry["spread"] = Json::parse(FiguresToJson(column.spread));
      entry["seeds"] = column.runs;
    }
    entry.update(DetailsOf(result, comparison.linear_layers));
    methods.push_back(std::move(entry));
  }
  std::printf("%s\n", Json{{"methods", methods}}.dump().c_str());
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Deployment deployment, ReadDeployment(o.deployment));
  ASSIGN_OR_RETURN(Traffic traffic, ReadTracesOf(o.traces, o.deployment, deployment.model));
  ASSIGN_OR_RETURN(const Traffic holdout, ReadTracesOf(o.holdouts, o.deployment, deployment.model));
  const std::unique_ptr<ParallelFor> parallel = MakeThreadPool(o.threads);
  const Problem problem = ProblemOf(deployment, std::move(traffic), nullptr);
  SolveParams params = o.flags.ToParams();
  params.phase = deployment.phase;
  Comparison comparison{deployment.model, deployment.topology, holdout.source, {}, {}};
  for (const Method method : kMethods) {
    ASSIGN_OR_RETURN(MethodResult result,
                     RunMethod(o, method, problem, params, holdout, *parallel));
    comparison.methods.push_back(std::move(result));
  }
  ASSIGN_OR_RETURN(
      comparison.linear_layers,
      EvaluateLinearLayers(deployment.model, deployment.topology, holdout, PhaseOf(o.phase)));
  if (!o.html.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(o.html, ComparePage(comparison).ToHtml()));
  }
  if (o.json) {
    PrintJson(comparison);
  } else {
    PrintText(comparison);
  }
  return absl::OkStatus();
}

}  // namespace

FiguresColumn Summarise(const MethodResult& result) {
  const auto n = static_cast<double>(result.runs.size());
  Figures mean = result.runs.front();
  ForEachFigure(mean, mean, [](double& x, double) { x = 0; });
  Figures spread = mean;
  spread.tokens = 0;
  for (const Figures& run : result.runs) {
    ForEachFigure(mean, run, [n](double& x, double y) { x += y / n; });
  }
  for (const Figures& run : result.runs) {
    Figures deviation = mean;
    ForEachFigure(deviation, run, [](double& x, double y) { x = (x - y) * (x - y); });
    ForEachFigure(spread, deviation, [n](double& x, double y) { x += y / n; });
  }
  ForEachFigure(spread, spread, [](double& x, double) { x = std::sqrt(x); });
  return {result.method, mean, spread, static_cast<int>(result.runs.size())};
}

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
  command->add_option("--html", o->html, "Write a page with charts and heatmaps there");
  AddPhaseOption(command, "Tokens judged", &o->phase);
  AddSolveFlags(command, &o->flags);
  AddThreadsOption(command, &o->threads);
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
