#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "client/ctl/options.h"
#include "client/ctl/solve_watch.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/exec/thread_pool.h"
#include "core/io/deployment_file.h"
#include "core/io/plan_file.h"
#include "core/solver/solver.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

// Fewer requests are all solved on: what a handful of held-out requests says is chance.
constexpr size_t kFewestRequestsToPredict = 20;

struct Options {
  std::string deployment, previous, out;
  std::vector<std::string> traces;
  SolveFlags flags;
  std::string method = "joint", phase, time_limit = "none";
  int threads = 1;
  bool json = false;
};

SolveParams ParamsOf(const Options& o, const Deployment& deployment) {
  SolveParams params = o.flags.ToParams();
  params.method = *ParseMethod(o.method);
  params.phase = o.phase.empty() ? deployment.phase : PhaseOf(o.phase);
  return params;
}

// Solves on the requests that are not held out, for the prediction alone, then on all of them.
absl::StatusOr<Plan> SolveAndPredict(const Options& o, const Deployment& deployment,
                                     Traffic traffic, const Plan* previous, ParallelFor& parallel) {
  SolveParams params = ParamsOf(o, deployment);
  const bool predict = traffic.requests.size() >= kFewestRequestsToPredict;
  const absl::Duration limit = TimeLimitOf(o.time_limit) / (predict ? 2 : 1);
  std::optional<Predicted> predicted;
  if (predict) {
    SolveWatch watch("solving on four fifths, to predict", limit);
    params.should_stop = [&watch] { return watch.ShouldStop(); };
    Traffic train, holdout;
    SplitHoldout(traffic, kFifths, &train, &holdout);
    const Problem problem = ProblemOf(deployment, std::move(train), previous);
    ASSIGN_OR_RETURN(Plan plan, SolvePlan(problem, holdout, params, previous, parallel));
    predicted = std::move(plan.predicted);
  }
  SolveWatch watch("solving", limit);
  params.should_stop = [&watch] { return watch.ShouldStop(); };
  Traffic none;
  none.model = traffic.model;
  const Problem problem = ProblemOf(deployment, std::move(traffic), previous);
  ASSIGN_OR_RETURN(Plan plan, SolvePlan(problem, none, params, previous, parallel));
  // Measured on no request at all.
  plan.predicted->figures = predict ? predicted->figures : Figures();
  plan.predicted->prefill = predict ? predicted->prefill : std::nullopt;
  plan.predicted->decode = predict ? predicted->decode : std::nullopt;
  plan.deployment = deployment.name;
  return plan;
}

void PrintText(const Plan& plan) {
  std::vector<FiguresColumn> columns;
  const Predicted& p = *plan.predicted;
  const bool predicted = p.figures != Figures();
  if (predicted) {
    columns.push_back({"predicted", p.figures});
  }
  for (const auto& [title, figures] : {std::pair{"prefill", &p.prefill},
                                       std::pair{"decode", &p.decode}, std::pair{"fit", &p.fit}}) {
    if (figures->has_value()) {
      columns.push_back({title, **figures});
    }
  }
  std::fputs(FiguresTable(columns).c_str(), stdout);
  if (!predicted) {
    std::printf("too few requests to hold some out: fit is on the solver's own\n");
  }
  if (!p.layers_over_cap.empty()) {
    std::printf("layers over a load cap: %s\n", absl::StrJoin(p.layers_over_cap, ", ").c_str());
  }
  if (plan.bounds.gap_ratio.has_value()) {
    std::printf("gap to the lower bound: %s\n", Percent(*plan.bounds.gap_ratio).c_str());
  }
  std::printf("slots moved: %zu\n", plan.moves.size());
  if (plan.time_limit_struck) {
    std::printf("the time limit ended the search early\n");
  }
}

void PrintJson(const Options& o, const Plan& plan) {
  const auto whole = nlohmann::ordered_json::parse(PlanToJson(plan));
  nlohmann::ordered_json json = {{"out", o.out}};
  for (const char* key : {"deployment", "epoch", "revision", "method", "seed", "time_limit_struck",
                          "predicted", "bounds"}) {
    json[key] = whole[key];
  }
  json["moved_slots"] = plan.moves.size();
  std::printf("%s\n", json.dump().c_str());
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Deployment deployment, ReadDeployment(o.deployment));
  std::optional<Plan> previous;
  if (!o.previous.empty()) {
    ASSIGN_OR_RETURN(previous, ReadPlan(o.previous));
  }
  ASSIGN_OR_RETURN(Traffic traffic, ReadTracesOf(o.traces, o.deployment, deployment.model));
  const std::unique_ptr<ParallelFor> parallel = MakeThreadPool(o.threads);
  ASSIGN_OR_RETURN(const Plan plan,
                   SolveAndPredict(o, deployment, std::move(traffic),
                                   previous.has_value() ? &*previous : nullptr, *parallel));
  RETURN_IF_ERROR(WritePlan(o.out, plan));
  if (o.json) {
    PrintJson(o, plan);
  } else {
    PrintText(plan);
  }
  return absl::OkStatus();
}

}  // namespace

void AddSolve(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("solve",
                                         "Make a plan for a deployment from routing traces. What "
                                         "it predicts is measured on every fifth request of each "
                                         "domain, placed by `assign`, under a plan solved on the "
                                         "others; the plan written is then solved on all requests. "
                                         "With fewer than 20 requests nothing is predicted");
  command->add_option("--deployment", o->deployment, "Deployment file (YAML)")->required();
  command->add_option("--trace", o->traces, "Routing trace; may be given several times")
      ->required();
  command->add_option("--out", o->out, "Plan file to write (JSON)")->required();
  command->add_option("--previous", o->previous,
                      "Plan in force, to repair from: moves are counted against it");
  command
      ->add_option("--max-moved-fraction", o->flags.params.max_moved_fraction,
                   "Slots that may receive an expert their GPU did not hold, over all slots; needs "
                   "--previous")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--method", o->method, "How the plan is made")
      ->check(CLI::IsMember({"joint", "linear", "eplb", "paper", "greedy-coactivation"}))
      ->capture_default_str();
  command
      ->add_option("--phase", o->phase,
                   "Traffic whose bytes are minimised; default: the deployment's phase, itself all "
                   "by default")
      ->check(CLI::IsMember({"all", "decode", "prefill"}));
  AddSolveFlags(command, &o->flags);
  AddTimeLimitOption(command, &o->time_limit);
  AddThreadsOption(command, &o->threads);
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
