#include <cstdio>

#include "absl/strings/str_cat.h"
#include "client/ctl/online_command.h"
#include "core/io/trace.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

absl::Status Window(AdminClient& daemon, const OnlineFlags& flags) {
  ASSIGN_OR_RETURN(const std::string deployment, DeploymentOf(daemon, flags.deployment));
  ASSIGN_OR_RETURN(const Traffic window, FetchWindow(daemon, deployment));
  RETURN_IF_ERROR(WriteTrace(flags.out, window));
  int64_t tokens = 0;
  double stands_for = 0;
  for (const Request& request : window.requests) {
    tokens += request.tokens;
    stands_for += request.weight * request.tokens;
  }
  if (flags.json) {
    const nlohmann::ordered_json out = {{"requests", window.requests.size()},
                                        {"tokens", tokens},
                                        {"stands_for_tokens", stands_for}};
    std::printf("%s\n", out.dump().c_str());
  } else {
    std::printf("%s: %zu requests with %s tokens, which stand for %.0f\n", flags.out.c_str(),
                window.requests.size(), absl::StrCat(tokens).c_str(), stands_for);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Traffic> FetchWindow(AdminClient& daemon, const std::string& deployment) {
  v1::GetWindowRequest request;
  request.set_deployment(deployment);
  ASSIGN_OR_RETURN(std::string text, daemon.GetWindow(request));
  return ParseTrace(std::move(text), absl::StrCat("the daemon's window of ", deployment));
}

void AddWindow(CLI::App& app, Action* action) {
  AddOnlineCommand(
      app, action, "window",
      "Write what the daemon's window holds as a routing trace, which solve, compare, frontier and "
      "the others read: sampled requests under hashed ids, weighted to stand for all",
      [](CLI::App* command, OnlineFlags* flags) {
        AddDeployment(command, flags);
        command->add_option("--out", flags->out, "Trace file, .jsonl or .jsonl.gz")->required();
      },
      Window);
}

}  // namespace advisor::client
