#ifndef ADVISOR_CLIENT_CTL_ONLINE_H_
#define ADVISOR_CLIENT_CTL_ONLINE_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/ctl/admin_client.h"
#include "client/ctl/command.h"
#include "core/model/request.h"

namespace advisor::client {

// The commands that talk to a daemon.
void AddOnlineCommands(CLI::App& app, Action* action);

void AddStatus(CLI::App& app, Action* action);
void AddPlans(CLI::App& app, Action* action);
void AddShow(CLI::App& app, Action* action);
void AddDiff(CLI::App& app, Action* action);
void AddWindow(CLI::App& app, Action* action);
void AddSolveNow(CLI::App& app, Action* action);
void AddMode(CLI::App& app, Action* action);
void AddFreeze(CLI::App& app, Action* action);
void AddUnfreeze(CLI::App& app, Action* action);
void AddRollback(CLI::App& app, Action* action);
void AddReplay(CLI::App& app, Action* action);

// `name`, or the daemon's only deployment when it is empty. INVALID_ARGUMENT lists the names where
// there are several.
absl::StatusOr<std::string> DeploymentOf(AdminClient& daemon, const std::string& name);

// The plan at `position` ("1.7"; empty: the latest) as a plan file.
absl::StatusOr<std::string> FetchPlan(AdminClient& daemon, const std::string& deployment,
                                      const std::string& position);

// What the daemon's window holds of `deployment`. FAILED_PRECONDITION: no traffic yet.
absl::StatusOr<Traffic> FetchWindow(AdminClient& daemon, const std::string& deployment);

// "1.7" (epoch and revision) as in tables.
std::string ToText(const v1::Position& position);  // {0, 0}: "-"
// INVALID_ARGUMENT: not epoch.revision.
absl::StatusOr<v1::Position> ParsePosition(const std::string& text);

// "first_plan"; "?" for a reason of a later release.
std::string ReasonName(v1::DecisionReason reason);

// "12.5 %", or "-" where unset.
std::string PercentOrDash(bool known, double ratio);
// "3.2 GB", "-" for 0.
std::string BytesText(double bytes);
// "42 s", "3.5 min", "2.1 h".
std::string AgeText(double seconds);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_ONLINE_H_
