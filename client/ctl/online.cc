#include "client/ctl/online.h"

#include <cstdio>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/message_json.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"

namespace advisor::client {

void AddOnlineCommands(CLI::App& app, Action* action) {
  AddStatus(app, action);
  AddPlans(app, action);
  AddShow(app, action);
  AddDiff(app, action);
  AddWindow(app, action);
  AddSolveNow(app, action);
  AddMode(app, action);
  AddFreeze(app, action);
  AddUnfreeze(app, action);
  AddRollback(app, action);
  AddReplay(app, action);
}

absl::StatusOr<std::string> DeploymentOf(AdminClient& daemon, const std::string& name) {
  if (!name.empty()) {
    return name;
  }
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status, daemon.GetStatus({}));
  if (status.deployments_size() == 1) {
    return status.deployments(0).deployment();
  }
  std::string names;
  for (const v1::DeploymentStatus& d : status.deployments()) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", d.deployment());
  }
  return absl::InvalidArgumentError(absl::StrCat("the daemon has ", status.deployments_size(),
                                                 " deployments (", names, "); name one"));
}

std::string ToText(const v1::Position& position) {
  return position.epoch() == 0 && position.revision() == 0
             ? "-"
             : absl::StrCat(position.epoch(), ".", position.revision());
}

absl::StatusOr<v1::Position> ParsePosition(const std::string& text) {
  const size_t dot = text.find('.');
  uint64_t epoch = 0, revision = 0;
  if (dot == std::string::npos || !absl::SimpleAtoi(text.substr(0, dot), &epoch) ||
      !absl::SimpleAtoi(text.substr(dot + 1), &revision)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "\"%s\" is not a plan's position; write epoch.revision, as `advisorctl plans` shows it",
        text));
  }
  v1::Position position;
  position.set_epoch(epoch);
  position.set_revision(revision);
  return position;
}

std::string ReasonName(v1::DecisionReason reason) {
  const auto* value = v1::DecisionReason_descriptor()->FindValueByNumber(reason);
  return value == nullptr ? "?" : EnumName(*value);
}

std::string PercentOrDash(bool known, double ratio) { return known ? Percent(ratio) : "-"; }

std::string BytesText(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1000;
    ++unit;
  }
  if (bytes == 0) {
    return "-";
  }
  return absl::StrFormat("%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

std::string AgeText(double seconds) {
  return seconds < 90     ? absl::StrFormat("%.0f s", seconds)
         : seconds < 5400 ? absl::StrFormat("%.1f min", seconds / 60)
                          : absl::StrFormat("%.1f h", seconds / 3600);
}

}  // namespace advisor::client
