#include "client/replay/replay.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/ctl/online.h"
#include "client/replay/report.h"
#include "core/base/status_macros.h"
#include "core/io/trace.h"

namespace advisor::client {
namespace {

struct ReplayFlags {
  std::string trace;
  ReplayOptions options;
  double plan_wait_s = 30;
  bool json = false;
};

// On a terminal one line is redrawn; elsewhere only what is said is printed, a line each.
class Screen {
 public:
  void Show(double fraction, const std::string& line) {
    const bool said = !line.empty();
    said_ = said ? line : said_;
    if (!terminal_) {
      if (said) {
        std::fprintf(stderr, "[%3.0f %%] %s\n", fraction * 100, line.c_str());
      }
      return;
    }
    const absl::Time now = absl::Now();
    if (said || now - drawn_ > absl::Milliseconds(200)) {
      std::fprintf(stderr, "\r\033[K[%3.0f %%] %s%s", fraction * 100, said_.c_str(),
                   said ? "\n" : "");
      std::fflush(stderr);
      drawn_ = now;
    }
  }
  void Clear() {
    if (terminal_) {
      std::fprintf(stderr, "\r\033[K");
    }
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  absl::Time drawn_ = absl::InfinitePast();
  std::string said_;
};

absl::StatusOr<DaemonView> Look(AdminClient& daemon, const std::string& deployment) {
  v1::GetStatusRequest request;
  request.set_deployment(deployment);
  ASSIGN_OR_RETURN(const v1::GetStatusResponse status, daemon.GetStatus(request));
  DaemonView view;
  if (status.deployments_size() == 1) {
    const v1::DeploymentStatus& d = status.deployments(0);
    const v1::DecisionReason reason = d.last_decision();
    view.keeps_plan =
        !d.solving() &&
        (reason == v1::DECISION_REASON_NO_DRIFT || reason == v1::DECISION_REASON_NO_GAIN ||
         reason == v1::DECISION_REASON_GAIN_BELOW_MOVE_COST ||
         reason == v1::DECISION_REASON_SAME_CONTENT || reason == v1::DECISION_REASON_FROZEN);
    view.decision = absl::StrCat(ReasonName(reason), ", ", d.last_decision_detail());
    view.window_tokens = d.window_tokens();
  }
  return view;
}

absl::Status RunReplay(ReplayFlags flags) {
  ASSIGN_OR_RETURN(const Traffic traffic, ReadTrace(flags.trace));
  // Before the run, so that a daemon that is away is told at once.
  ASSIGN_OR_RETURN(const std::unique_ptr<AdminClient> daemon,
                   AdminClient::Create(flags.options.daemon));
  RETURN_IF_ERROR(daemon->GetStatus({}).status());
  flags.options.look = [&](const std::string& deployment) { return Look(*daemon, deployment); };
  Screen screen;
  screen.Show(0, absl::StrCat(flags.trace, ": ", traffic.model.name, ", ", traffic.requests.size(),
                              " requests"));
  screen.Show(0, SourceNote(traffic.source));
  ASSIGN_OR_RETURN(const ReplayResult result,
                   Replay(traffic, flags.options, [&](double fraction, const std::string& line) {
                     screen.Show(fraction, line);
                   }));
  screen.Clear();
  v1::ListPlansRequest request;
  request.set_deployment(result.deployment);
  ASSIGN_OR_RETURN(const v1::ListPlansResponse plans, daemon->ListPlans(request));
  if (flags.json) {
    std::printf("%s\n", ReplayJson(result, plans, traffic.source).c_str());
    return absl::OkStatus();
  }
  if (!result.sequence.first_mix.empty()) {
    std::printf("task mix: first half mostly %s; second half mostly %s\n",
                absl::StrJoin(result.sequence.first_mix, ", ").c_str(),
                absl::StrJoin(result.sequence.second_mix, ", ").c_str());
  }
  std::printf("%s\n%s", SourceNote(traffic.source).c_str(), ReplayText(result, plans).c_str());
  return absl::OkStatus();
}

}  // namespace

void AddReplay(CLI::App& app, Action* action) {
  auto flags = std::make_shared<ReplayFlags>();
  CLI::App* command = app.add_subcommand("replay",
                                         "Play serving nodes against a daemon: report a trace "
                                         "through agents, obey the plans, show what they saved");
  command->add_option("--trace", flags->trace, "Routing trace, .jsonl or .jsonl.gz")->required();
  command
      ->add_option("--agents", flags->options.agent_sockets,
                   "Unix sockets of the agents, one per node, comma-separated")
      ->delimiter(',')
      ->required();
  AddChannelFlags(command, &flags->options.daemon);
  command->add_flag("--shift,!--no-shift", flags->options.shift,
                    "Play most of one half of the domains first, then most of the other (default)");
  command
      ->add_option("--live", flags->options.live_per_node, "Requests that a node decodes at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      ->add_option("--step-rate", flags->options.steps_per_second,
                   "Steps per second of each engine; 0: no limit")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      ->add_option("--plan-wait", flags->plan_wait_s,
                   "Longest idling for a plan, in each half of the run, seconds")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command
      ->add_option("--pause-at", flags->options.pause_at,
                   "Share of each half's requests played before idling")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("--json", flags->json, "One JSON object instead of tables");
  command->callback([action, flags] {
    *action = [flags] {
      flags->options.plan_wait = absl::Seconds(flags->plan_wait_s);
      return RunReplay(*flags);
    };
  });
}

}  // namespace advisor::client
