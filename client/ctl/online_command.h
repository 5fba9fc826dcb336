#ifndef ADVISOR_CLIENT_CTL_ONLINE_COMMAND_H_
#define ADVISOR_CLIENT_CTL_ONLINE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "client/ctl/online.h"
#include "core/base/status_macros.h"

namespace advisor::client {

// What every online command has, and room for what some have.
struct OnlineFlags {
  ChannelOptions daemon;
  std::string deployment;
  bool json = false;
  std::string mode, first, second, out;
  bool force = false;
};

// Adds `name` with --server, the TLS flags and --json. When it is chosen, `run` gets a client and
// the parsed flags, which `add_options` may have filled with more.
inline CLI::App* AddOnlineCommand(
    CLI::App& app, Action* action, const std::string& name, const std::string& help,
    const std::function<void(CLI::App*, OnlineFlags*)>& add_options,
    std::function<absl::Status(AdminClient&, const OnlineFlags&)> run) {
  auto flags = std::make_shared<OnlineFlags>();
  CLI::App* command = app.add_subcommand(name, help);
  AddChannelFlags(command, &flags->daemon);
  command->add_flag("--json", flags->json, "One JSON object instead of a table");
  add_options(command, flags.get());
  command->callback([action, flags, run = std::move(run)] {
    *action = [flags, run]() -> absl::Status {
      ASSIGN_OR_RETURN(const std::unique_ptr<AdminClient> daemon,
                       AdminClient::Create(flags->daemon));
      return run(*daemon, *flags);
    };
  });
  return command;
}

inline void AddDeployment(CLI::App* command, OnlineFlags* flags) {
  command->add_option("deployment", flags->deployment,
                      "Deployment; may be left out where the daemon has one");
}

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_ONLINE_COMMAND_H_
