#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/message_json.h"
#include "client/ctl/online_command.h"
#include "client/ctl/table.h"
#include "core/io/atomic_file.h"
#include "core/io/plan_file.h"

namespace advisor::client {
namespace {

void PrintJson(const google::protobuf::Message& message) {
  std::printf("%s\n", ToJson(message).dump().c_str());
}

absl::Status Plans(AdminClient& daemon, const OnlineFlags& flags) {
  v1::ListPlansRequest request;
  ASSIGN_OR_RETURN(*request.mutable_deployment(), DeploymentOf(daemon, flags.deployment));
  ASSIGN_OR_RETURN(const v1::ListPlansResponse plans, daemon.ListPlans(request));
  if (flags.json) {
    PrintJson(plans);
    return absl::OkStatus();
  }
  Table table({"plan", "reason", "moved slots", "bytes", "predicted", "measured", "refused"});
  for (const v1::PlanSummary& p : plans.plans()) {
    table.AddRow({ToText(p.position()), ReasonName(p.reason()), absl::StrCat(p.moved_slots()),
                  BytesText(static_cast<double>(p.moved_bytes())),
                  PercentOrDash(p.predicted().has_saving_ratio(), p.predicted().saving_ratio()),
                  PercentOrDash(p.has_measured_saving(), p.measured_saving()),
                  p.quarantined() ? "yes" : "-"});
  }
  std::printf("%s",
              plans.plans_size() == 0 ? "no plan has been published\n" : table.ToText().c_str());
  return absl::OkStatus();
}

absl::Status Show(AdminClient& daemon, const OnlineFlags& flags) {
  ASSIGN_OR_RETURN(const std::string deployment, DeploymentOf(daemon, flags.deployment));
  ASSIGN_OR_RETURN(const std::string json, FetchPlan(daemon, deployment, flags.first));
  if (!flags.out.empty()) {
    return WriteFileAtomically(flags.out, json);
  }
  if (flags.json) {
    std::printf("%s\n", json.c_str());
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Plan plan, ParsePlan(json, "the daemon's plan"));
  std::printf("plan %s.%s of %s: %s, method %s, seed %s\n",
              absl::StrCat(plan.position.epoch).c_str(),
              absl::StrCat(plan.position.revision).c_str(), plan.deployment.c_str(),
              plan.reason.c_str(), plan.method.c_str(), absl::StrCat(plan.seed).c_str());
  int64_t bytes = 0;
  for (const Move& move : plan.moves) {
    bytes += move.bytes;
  }
  std::printf("%d nodes, %d slots of %d layers x %d experts; %d slots moved, %s\n",
              plan.topology.node_count(), plan.topology.slot_count(), plan.model.moe_layers,
              plan.model.experts, static_cast<int>(plan.moves.size()),
              BytesText(static_cast<double>(bytes)).c_str());
  if (plan.predicted) {
    std::vector<FiguresColumn> columns = {{"predicted", plan.predicted->figures, {}, 1}};
    if (plan.predicted->fit) {
      columns.push_back({"fit", *plan.predicted->fit, {}, 1});
    }
    std::printf("\n%s", FiguresTable(columns).c_str());
  }
  return absl::OkStatus();
}

absl::Status Diff(AdminClient& daemon, const OnlineFlags& flags) {
  ASSIGN_OR_RETURN(const std::string deployment, DeploymentOf(daemon, flags.deployment));
  ASSIGN_OR_RETURN(const std::string from_json, FetchPlan(daemon, deployment, flags.first));
  ASSIGN_OR_RETURN(const std::string to_json, FetchPlan(daemon, deployment, flags.second));
  ASSIGN_OR_RETURN(const Plan from, ParsePlan(from_json, flags.first));
  ASSIGN_OR_RETURN(const Plan to, ParsePlan(to_json, flags.second));
  if (from.topology != to.topology || from.model.moe_layers != to.model.moe_layers) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "plans %s and %s are for different models or topologies and have no slots in common",
        flags.first, flags.second.empty() ? "latest" : flags.second));
  }
  const int64_t moved = MovedSlots(to.topology, from.placement, to.placement);
  const double slots = static_cast<double>(to.topology.slot_count()) * to.model.moe_layers;
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (int l = 0; l < to.model.moe_layers; ++l) {
    const auto a = from.placement.row(LayerId(l));
    const auto b = to.placement.row(LayerId(l));
    int changed = 0;
    for (size_t s = 0; s < a.size(); ++s) {
      changed += a[s] != b[s];
    }
    layers.push_back(changed);
  }
  if (flags.json) {
    const nlohmann::ordered_json out = {{"moved_slots", moved},
                                        {"moved_bytes", moved * to.model.expert_bytes},
                                        {"moved_fraction", static_cast<double>(moved) / slots},
                                        {"same_grouping", from.grouping == to.grouping},
                                        {"changed_slots_by_layer", layers}};
    std::printf("%s\n", out.dump().c_str());
    return absl::OkStatus();
  }
  std::printf("%s slots receive an expert their GPU did not hold (%s of all), %s\n",
              absl::StrCat(moved).c_str(), Percent(static_cast<double>(moved) / slots).c_str(),
              BytesText(static_cast<double>(moved * to.model.expert_bytes)).c_str());
  std::printf("grouping: %s\n", from.grouping == to.grouping ? "the same" : "differs");
  Table table({"layer", "changed slots"});
  for (size_t l = 0; l < layers.size(); ++l) {
    if (layers[l] != 0) {
      table.AddRow({absl::StrCat(l), layers[l].dump()});
    }
  }
  std::printf("%s", table.ToText().c_str());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> FetchPlan(AdminClient& daemon, const std::string& deployment,
                                      const std::string& position) {
  v1::GetPlanRequest request;
  request.set_deployment(deployment);
  if (!position.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_position(), ParsePosition(position));
  }
  ASSIGN_OR_RETURN(v1::GetPlanResponse response, daemon.GetPlan(request));
  return std::move(*response.mutable_plan_json());
}

void AddPlans(CLI::App& app, Action* action) {
  AddOnlineCommand(app, action, "plans", "Published plans, newest first", AddDeployment, Plans);
}

void AddShow(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "show", "One plan; with --json or --out as a plan file",
      [](CLI::App* command, OnlineFlags* flags) {
        AddDeployment(command, flags);
        command->add_option("--plan", flags->first,
                            "epoch.revision as `plans` shows it; default: the latest");
        command->add_option("--out", flags->out, "Write the plan file there");
      },
      Show);
}

void AddDiff(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "diff", "What changed between two plans",
      [](CLI::App* command, OnlineFlags* flags) {
        command->add_option("from", flags->first, "epoch.revision")->required();
        command->add_option("to", flags->second, "epoch.revision; default: the latest");
        command->add_option("--deployment", flags->deployment,
                            "Deployment; may be left out where the daemon has one");
      },
      Diff);
}

}  // namespace advisor::client
