#include "core/cost/evaluate.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "client/ctl/options.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/cost/microbatch_experts.h"
#include "core/io/assignments_file.h"
#include "core/io/deployment_file.h"
#include "core/io/plan_file.h"
#include "core/io/trace.h"

namespace advisor::client {
namespace {

struct Options {
  std::string plan, trace, assignments, deployment;
  std::string phase = "decode", dispatch = "table";
  bool json = false;
};

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Traffic traffic, ReadTrace(o.trace));
  ASSIGN_OR_RETURN(const Plan plan, ReadPlan(o.plan, traffic.model));
  RETURN_IF_ERROR(CheckSameShape(o.trace, traffic.model, o.plan, plan.model));
  const int nodes = plan.topology.node_count();
  std::vector<NodeId> homes = DealRoundRobin(traffic.requests.size(), nodes);
  std::optional<std::vector<Microbatch>> microbatches;
  if (!o.assignments.empty()) {
    ASSIGN_OR_RETURN(const std::vector<Assignment> assignments, ReadAssignments(o.assignments));
    absl::StatusOr<std::vector<NodeId>> assigned = HomesOf(traffic, assignments, nodes);
    if (!assigned.ok()) {
      return absl::Status(assigned.status().code(),
                          o.assignments + ": " + std::string(assigned.status().message()));
    }
    homes = *std::move(assigned);
    microbatches = MicrobatchesOf(traffic, assignments);
  }
  EvaluateOptions options{PhaseOf(o.phase), DispatchOf(o.dispatch)};
  if (!o.deployment.empty()) {
    ASSIGN_OR_RETURN(const Deployment deployment, ReadDeployment(o.deployment));
    if (!deployment.time_model.has_value()) {
      return absl::InvalidArgumentError(
          o.deployment +
          ": no time_model to estimate times with; add it or leave --deployment out");
    }
    options.time_model = deployment.time_model;
  }
  ASSIGN_OR_RETURN(Figures figures, EvaluateWithBaseline(plan, traffic, homes, options));
  if (microbatches.has_value()) {
    figures.distinct_experts_per_microbatch =
        DistinctExpertsPerMicrobatch(traffic, homes, *microbatches);
  }
  std::fputs(
      o.json ? (FiguresToJson(figures) + "\n").c_str() : FiguresTable({{o.phase, figures}}).c_str(),
      stdout);
  return absl::OkStatus();
}

}  // namespace

void AddEvaluate(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("evaluate",
                                         "Judge a plan on a trace: every figure, and the saving "
                                         "against the linear placement with requests dealt "
                                         "round-robin on the same requests");
  command->add_option("--plan", o->plan, "Plan file")->required();
  command->add_option("--trace", o->trace, "Routing trace that the plan was not made from")
      ->required();
  command->add_option("--assignments", o->assignments,
                      "Home node of every request, as `assign` writes it; without it requests are "
                      "dealt round-robin");
  command->add_option("--deployment", o->deployment,
                      "Deployment file whose time_model to estimate times with: adds the modelled_ "
                      "figures");
  AddPhaseOption(command, "Tokens judged", &o->phase);
  AddDispatchOption(command, &o->dispatch);
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
