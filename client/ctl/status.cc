#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/message_json.h"
#include "client/ctl/online_command.h"
#include "client/ctl/table.h"

namespace advisor::client {
namespace {

template <typename Enum>
std::string Name(const google::protobuf::EnumDescriptor* type, Enum value) {
  const auto* descriptor = type->FindValueByNumber(value);
  return descriptor == nullptr ? "?" : EnumName(*descriptor);
}

std::string LeftOutText(const v1::ReporterStatus& reporter) {
  std::string out;
  for (const v1::LeftOutDomain& domain : reporter.left_out()) {
    absl::StrAppendFormat(&out, "%s%s (%.2f)", out.empty() ? "" : ", ",
                          DomainLabel(domain.domain()), domain.distance());
  }
  return out.empty() ? "-" : out;
}

void PrintReporters(const v1::DeploymentStatus& d) {
  Table table({"reporter", "node", "state", "runs plan", "frames", "steps", "tokens", "lost steps",
               "rejected", "left out of"});
  for (const v1::ReporterStatus& r : d.reporters()) {
    table.AddRow({r.reporter_id(), r.node(),
                  Name(v1::ReporterStatus::State_descriptor(), r.state()), ToText(r.applied()),
                  absl::StrCat(r.frames()), absl::StrCat(r.steps()), absl::StrCat(r.tokens()),
                  absl::StrCat(r.lost_steps()), absl::StrCat(r.rejected_blocks()), LeftOutText(r)});
  }
  std::printf("%s", table.ToText().c_str());
}

void PrintSubscribers(const v1::DeploymentStatus& d) {
  Table table({"subscriber", "node", "role", "connected", "plan", "phase", "last refusal"});
  for (const v1::SubscriberStatus& s : d.subscribers()) {
    table.AddRow({s.subscriber_id(), s.node().empty() ? "-" : s.node(),
                  Name(v1::Role_descriptor(), s.role()), s.connected() ? "yes" : "no",
                  ToText(s.known()), Name(v1::Ack::Phase_descriptor(), s.phase()),
                  s.nack().message().empty() ? "-" : s.nack().message()});
  }
  std::printf("%s", table.ToText().c_str());
}

void PrintDomains(const v1::DeploymentStatus& d) {
  Table table({"domain", "window tokens", "drift", "prefill/decode", "saved so far"});
  for (const v1::DomainStatus& domain : d.domains()) {
    const bool known = domain.baseline_internode_bytes() > 0;
    table.AddRow(
        {DomainLabel(domain.domain()), absl::StrCat(domain.window_tokens()),
         absl::StrFormat("%.3f", domain.drift()),
         domain.has_prefill_decode_correlation()
             ? absl::StrFormat("%.2f", domain.prefill_decode_correlation())
             : "-",
         PercentOrDash(
             known, known ? 1 - domain.internode_bytes() / domain.baseline_internode_bytes() : 0)});
  }
  std::printf("%s", table.ToText().c_str());
}

void Print(const v1::DeploymentStatus& d) {
  std::printf("\n%s  %s%s  model %s\n", d.deployment().c_str(),
              Name(v1::Mode_descriptor(), d.mode()).c_str(), d.frozen() ? ", frozen" : "",
              d.model().c_str());
  std::printf("  plan %s published, %s in force, grouping %s%s\n", ToText(d.position()).c_str(),
              ToText(d.in_force()).c_str(), ToText(d.grouping()).c_str(),
              d.solving() ? ", solving" : "");
  std::printf("  saving predicted %s, measured %s; nodes reporting %s, window %s tokens\n",
              PercentOrDash(d.has_predicted_saving(), d.predicted_saving()).c_str(),
              PercentOrDash(d.has_measured_saving(), d.measured_saving()).c_str(),
              Percent(d.coverage()).c_str(), absl::StrCat(d.window_tokens()).c_str());
  if (d.last_decision() != v1::DECISION_REASON_UNSPECIFIED) {
    std::printf("  last decision %s ago: %s%s%s\n", AgeText(d.last_decision_age_s()).c_str(),
                Name(v1::DecisionReason_descriptor(), d.last_decision()).c_str(),
                d.last_decision_detail().empty() ? "" : ", ", d.last_decision_detail().c_str());
  }
  if (d.reporters_size() > 0) {
    std::printf("\n");
    PrintReporters(d);
  }
  if (d.subscribers_size() > 0) {
    std::printf("\n");
    PrintSubscribers(d);
  }
  if (d.domains_size() > 0) {
    std::printf("\n");
    PrintDomains(d);
  }
}

absl::Status Status(AdminClient& daemon, const OnlineFlags& flags) {
  v1::GetStatusRequest request;
  request.set_deployment(flags.deployment);
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status, daemon.GetStatus(request));
  if (flags.json) {
    std::printf("%s\n", ToJson(status).dump().c_str());
    return absl::OkStatus();
  }
  std::printf("advisord %s at %s, up %s, epoch %s\n", status.version().c_str(),
              flags.daemon.server.c_str(), AgeText(status.uptime_s()).c_str(),
              absl::StrCat(status.epoch()).c_str());
  for (const v1::DeploymentStatus& d : status.deployments()) {
    Print(d);
  }
  return absl::OkStatus();
}

}  // namespace

void AddStatus(CLI::App& app, Action* action) {
  AddOnlineCommand(app, action, "status", "What a daemon knows and does, per deployment",
                   AddDeployment, Status);
}

}  // namespace advisor::client
