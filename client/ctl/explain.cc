#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/command.h"
#include "client/ctl/explanation.h"
#include "client/ctl/inputs.h"
#include "client/ctl/message_json.h"
#include "client/ctl/online.h"
#include "client/ctl/options.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/io/plan_file.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  ChannelOptions daemon;
  std::string deployment, plan, previous;
  std::vector<std::string> traces;
  std::string phase = "decode";
  ExplainWhat what;
  bool json = false;
};

// The plan asked about and the one before it, from files or from the daemon.
struct Plans {
  Plan plan;
  std::optional<Plan> previous;
  std::string name;  // for errors
};

absl::StatusOr<PlanExplanation> Explain(const Options& o, const Plans& plans,
                                        const Traffic& traffic) {
  ExplainWhat what = o.what;
  what.phase = PhaseOf(o.phase);
  return ExplainPlan(plans.plan, plans.previous.has_value() ? &*plans.previous : nullptr, traffic,
                     what);
}

absl::Status RunOffline(const Options& o) {
  Plans plans;
  plans.name = o.plan;
  ASSIGN_OR_RETURN(plans.plan, ReadPlan(o.plan));
  if (!o.previous.empty()) {
    ASSIGN_OR_RETURN(plans.previous, ReadPlan(o.previous));
  }
  ASSIGN_OR_RETURN(const Traffic traffic, ReadTracesOf(o.traces, plans.name, plans.plan.model));
  ASSIGN_OR_RETURN(const PlanExplanation found, Explain(o, plans, traffic));
  std::fputs(o.json ? (ToJson(found, plans.plan).dump() + "\n").c_str()
                    : ToText(found, plans.plan).c_str(),
             stdout);
  return absl::OkStatus();
}

// ---- Online

// "plan 1.2: drift: ..." and what it replaced.
std::string WhyThisPlan(const v1::ListPlansResponse& plans) {
  if (plans.plans_size() == 0) {
    return "no plan has been published\n";
  }
  const v1::PlanSummary& now = plans.plans(0);
  std::string out = absl::StrFormat(
      "plan %s: %s%s%s\n  predicted to save %s, measured %s\n", ToText(now.position()),
      ReasonName(now.reason()), now.detail().empty() ? "" : ": ", now.detail(),
      PercentOrDash(now.predicted().has_saving_ratio(), now.predicted().saving_ratio()),
      PercentOrDash(now.has_measured_saving(), now.measured_saving()));
  if (plans.plans_size() == 1) {
    return out + "  it is the first\n";
  }
  const v1::PlanSummary& last = plans.plans(1);
  absl::StrAppendFormat(
      &out, "  it replaced %s, predicted to save %s, measured %s%s; %d slots moved, %s\n",
      ToText(last.position()),
      PercentOrDash(last.predicted().has_saving_ratio(), last.predicted().saving_ratio()),
      PercentOrDash(last.has_measured_saving(), last.measured_saving()),
      last.quarantined() ? ", refused by engines" : "", now.moved_slots(),
      BytesText(static_cast<double>(now.moved_bytes())));
  return out;
}

std::string DecisionsText(const v1::ExplainResponse& response) {
  if (response.decisions_size() == 0) {
    return "nothing has been decided yet\n";
  }
  std::string out;
  for (const v1::DecisionRecord& d : response.decisions()) {
    absl::StrAppendFormat(&out, "%8s ago  %s%s%s%s\n", AgeText(d.age_s()), ReasonName(d.reason()),
                          d.has_position() ? absl::StrCat(", plan ", ToText(d.position())) : "",
                          d.detail().empty() ? "" : ": ", d.detail());
  }
  return out;
}

absl::StatusOr<Plans> FetchPlans(AdminClient& daemon, const std::string& deployment,
                                 const v1::ListPlansResponse& listed) {
  if (listed.plans_size() == 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "deployment \"%s\" has no plan yet; there is nothing to explain", deployment));
  }
  Plans out;
  for (int i = 0; i < std::min(2, listed.plans_size()); ++i) {
    const std::string position = ToText(listed.plans(i).position());
    ASSIGN_OR_RETURN(const std::string json, FetchPlan(daemon, deployment, position));
    ASSIGN_OR_RETURN(Plan plan, ParsePlan(json, absl::StrCat("the daemon's plan ", position)));
    if (i == 0) {
      out.name = absl::StrCat("the daemon's plan ", position);
      out.plan = std::move(plan);
    } else {
      out.previous = std::move(plan);
    }
  }
  return out;
}

absl::Status RunOnline(const Options& o) {
  ASSIGN_OR_RETURN(const std::unique_ptr<AdminClient> daemon, AdminClient::Create(o.daemon));
  ASSIGN_OR_RETURN(const std::string deployment, DeploymentOf(*daemon, o.deployment));
  v1::ListPlansRequest list;
  list.set_deployment(deployment);
  ASSIGN_OR_RETURN(const v1::ListPlansResponse listed, daemon->ListPlans(list));
  v1::ExplainRequest request;
  request.set_deployment(deployment);
  ASSIGN_OR_RETURN(const v1::ExplainResponse decisions, daemon->Explain(request));
  // Decisions are told whether or not there are plans and traffic to look into.
  std::optional<Plans> plans;
  std::optional<PlanExplanation> found;
  const bool must = !o.traces.empty() || o.what.expert >= 0;
  if (must || listed.plans_size() > 0) {
    ASSIGN_OR_RETURN(plans, FetchPlans(*daemon, deployment, listed));
    const absl::StatusOr<Traffic> traffic =
        o.traces.empty() ? FetchWindow(*daemon, deployment)
                         : ReadTracesOf(o.traces, plans->name, plans->plan.model);
    if (traffic.ok()) {
      ASSIGN_OR_RETURN(found, Explain(o, *plans, *traffic));
    } else if (must || !absl::IsFailedPrecondition(traffic.status())) {
      return traffic.status();
    }
  }
  if (o.json) {
    Json out = ToJson(decisions);
    out["plans"] = ToJson(listed)["plans"];
    if (found.has_value()) {
      out.update(ToJson(*found, plans->plan));
    }
    std::printf("%s\n", out.dump().c_str());
    return absl::OkStatus();
  }
  std::printf("%s\n%s", WhyThisPlan(listed).c_str(), DecisionsText(decisions).c_str());
  if (found.has_value()) {
    std::printf("\n%s", ToText(*found, plans->plan).c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddExplain(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "explain",
      "Why the daemon's last decisions went as they did, and why this plan and not the last: what "
      "both do to the live window, or to the requests of --trace, the ten dearest flows that "
      "remain, and with --layer and --expert why that expert sits where it does. With --plan all "
      "of a file, without a daemon");
  command->add_option("deployment", o->deployment,
                      "Deployment; may be left out where the daemon has one");
  AddChannelFlags(command, &o->daemon);
  CLI::Option* trace = command->add_option(
      "--trace", o->traces,
      "Routing trace to explain by, instead of the window; may be given several times");
  CLI::Option* plan =
      command->add_option("--plan", o->plan, "Plan file, instead of the daemon's")->needs(trace);
  command->add_option("--previous", o->previous, "Plan file that it replaced")->needs(plan);
  CLI::Option* layer =
      command->add_option("--layer", o->what.layer, "MoE layer of the expert asked about")
          ->check(CLI::Range(0, kMaxMoeLayers - 1));
  CLI::Option* expert = command->add_option("--expert", o->what.expert, "Expert asked about")
                            ->check(CLI::Range(0, kMaxExperts - 1))
                            ->needs(layer);
  layer->needs(expert);
  AddPhaseOption(command, "Tokens looked at", &o->phase);
  AddJsonFlag(command, &o->json);
  command->callback(
      [o, action] { *action = [o] { return o->plan.empty() ? RunOnline(*o) : RunOffline(*o); }; });
}

}  // namespace advisor::client
