#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/ctl/message_json.h"
#include "client/ctl/online_command.h"

namespace advisor::client {
namespace {

void Report(const OnlineFlags& flags, const google::protobuf::Message& response,
            const std::string& line) {
  std::printf("%s\n", flags.json ? ToJson(response).dump().c_str() : line.c_str());
}

absl::Status SolveNow(AdminClient& daemon, const OnlineFlags& flags) {
  v1::SolveNowRequest request;
  ASSIGN_OR_RETURN(*request.mutable_deployment(), DeploymentOf(daemon, flags.deployment));
  request.set_force(flags.force);
  ASSIGN_OR_RETURN(const v1::SolveNowResponse response, daemon.SolveNow(request));
  Report(flags, response,
         absl::StrCat(response.has_position()
                          ? absl::StrCat("published plan ", ToText(response.position()))
                          : "kept the plan in force",
                      ": ", ReasonName(response.reason()), response.detail().empty() ? "" : ", ",
                      response.detail()));
  return absl::OkStatus();
}

absl::Status SetMode(AdminClient& daemon, const OnlineFlags& flags) {
  v1::SetModeRequest request;
  request.set_deployment(flags.deployment);
  request.set_mode(flags.mode == "active" ? v1::MODE_ACTIVE : v1::MODE_ADVISORY);
  ASSIGN_OR_RETURN(const v1::SetModeResponse response, daemon.SetMode(request));
  Report(flags, response, absl::StrCat(flags.deployment, " is ", flags.mode));
  return absl::OkStatus();
}

absl::Status SetFrozen(AdminClient& daemon, const OnlineFlags& flags, bool frozen) {
  v1::SetFrozenRequest request;
  ASSIGN_OR_RETURN(*request.mutable_deployment(), DeploymentOf(daemon, flags.deployment));
  request.set_frozen(frozen);
  ASSIGN_OR_RETURN(const v1::SetFrozenResponse response, daemon.SetFrozen(request));
  Report(
      flags, response,
      absl::StrCat(request.deployment(), frozen ? " is frozen: nothing is published until unfreeze"
                                                : " is no longer frozen"));
  return absl::OkStatus();
}

absl::Status Rollback(AdminClient& daemon, const OnlineFlags& flags) {
  v1::RollbackRequest request;
  ASSIGN_OR_RETURN(*request.mutable_deployment(), DeploymentOf(daemon, flags.deployment));
  if (!flags.first.empty()) {
    ASSIGN_OR_RETURN(*request.mutable_to(), ParsePosition(flags.first));
  }
  ASSIGN_OR_RETURN(const v1::RollbackResponse response, daemon.Rollback(request));
  Report(flags, response,
         absl::StrCat("published plan ", ToText(response.position()), " with the content of ",
                      flags.first.empty() ? std::string("the plan before") : flags.first));
  return absl::OkStatus();
}

}  // namespace

void AddSolveNow(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "solve-now", "Solve now, and publish if the gain pays for the moves",
      [](CLI::App* command, OnlineFlags* flags) {
        AddDeployment(command, flags);
        command->add_flag("--force", flags->force, "Publish even if it does not");
      },
      SolveNow);
}

void AddMode(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "mode", "Make a deployment advisory (engines are told not to act) or active",
      [](CLI::App* command, OnlineFlags* flags) {
        command->add_option("deployment", flags->deployment, "Deployment")->required();
        command->add_option("mode", flags->mode, "advisory or active")
            ->required()
            ->check(CLI::IsMember({"advisory", "active"}));
      },
      SetMode);
}

void AddFreeze(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "freeze", "Publish nothing for a deployment until unfreeze", AddDeployment,
      [](AdminClient& daemon, const OnlineFlags& flags) { return SetFrozen(daemon, flags, true); });
}

void AddUnfreeze(CLI::App& app, Action* action) {
  AddOnlineCommand(app, action, "unfreeze", "Publish again", AddDeployment,
                   [](AdminClient& daemon, const OnlineFlags& flags) {
                     return SetFrozen(daemon, flags, false);
                   });
}

void AddRollback(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "rollback", "Publish the content of an earlier plan again",
      [](CLI::App* command, OnlineFlags* flags) {
        AddDeployment(command, flags);
        command->add_option("--to", flags->first,
                            "epoch.revision; default: the plan before the one in force");
      },
      Rollback);
}

}  // namespace advisor::client
