#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "client/ctl/command.h"
#include "client/ctl/online.h"

namespace advisor::client {
namespace {

constexpr int kDone = 0, kFailed = 1, kWrongUsage = 2;

int Fail(const std::string& message) {
  std::string line = message;
  for (char& c : line) {
    c = c == '\n' || c == '\r' ? ' ' : c;
  }
  std::fprintf(stderr, "advisorctl: %s\n", line.c_str());
  return kFailed;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Placement advice for Mixture-of-Experts inference: solve, judge and operate expert "
      "placement plans.",
      "advisorctl");
  app.set_version_flag("--version", std::string("advisorctl ") + ADVISOR_VERSION);
  app.require_subcommand(1);
  Action action;
  AddSolve(app, &action);
  AddAssign(app, &action);
  AddEvaluate(app, &action);
  AddCompare(app, &action);
  AddFrontier(app, &action);
  AddCharacterize(app, &action);
  AddExplain(app, &action);
  AddInit(app, &action);
  AddSynth(app, &action);
  AddOnlineCommands(app, &action);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? kDone : kWrongUsage;
  }
  if (const absl::Status status = action(); !status.ok()) {
    return Fail(std::string(status.message()));
  }
  if (std::fflush(stdout) != 0) {
    return Fail("cannot write to standard output");
  }
  return kDone;
}

}  // namespace
}  // namespace advisor::client

int main(int argc, char** argv) { return advisor::client::Main(argc, argv); }
