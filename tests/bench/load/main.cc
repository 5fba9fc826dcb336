// Loads the real programs on this machine and prints a table of figures, beside those of a null
// server that only parses, in the same run. scripts/bench-load starts it.

#include <limits.h>
#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/null_server.h"
#include "tests/bench/load/subscribers.h"

namespace advisor::bench {
namespace {

using Part = void (*)(const Programs&, Results*);
const std::vector<std::pair<std::string, Part>> kParts = {
    {"ingest", BenchIngest}, {"publish", BenchPublish}, {"idle", BenchIdle},
    {"assign", BenchAssign}, {"restart", BenchRestart}, {"agent", BenchAgent},
    {"slow", BenchSlow},     {"fleet", BenchFleet},     {"herd", BenchHerd},
};

int Run(const Programs& programs, const std::vector<std::string>& parts, int runs) {
  Results results;
  for (int run = 0; run < runs; ++run) {
    for (const auto& [name, bench] : kParts) {
      if (parts.empty() || std::find(parts.begin(), parts.end(), name) != parts.end()) {
        bench(programs, &results);
      }
    }
  }
  results.Print();
  return 0;
}

}  // namespace
}  // namespace advisor::bench

int main(int argc, char** argv) {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);  // as the daemon does, see its main()
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  signal(SIGPIPE, SIG_IGN);
  advisor::bench::Programs programs;
  programs.self = std::filesystem::read_symlink("/proc/self/exe");
  const std::filesystem::path folder = std::filesystem::path(programs.self).parent_path();
  programs.advisord = folder / "advisord";
  programs.agent = folder / "advisor-agent";
  int runs = 3, held = 0;
  bool null_server = false;
  std::string server;
  std::vector<std::string> parts;
  CLI::App app("Loads the daemon and the agent, beside a null server, and prints a table.");
  std::vector<std::string> names;
  for (const auto& [name, part] : advisor::bench::kParts) {
    names.push_back(name);
  }
  app.add_option("--parts", parts, "What to measure; default: all")
      ->delimiter(',')
      ->check(CLI::IsMember(names));
  app.add_option("--runs", runs, "Runs of each part")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_flag("--null-server", null_server, "Serve as the null server (for this program itself)");
  app.add_option("--hold-subscribers", held,
                 "Subscribe so many and stay (for this program itself)");
  app.add_option("--server", server, "Where those subscribe");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (null_server) {
    return advisor::bench::ServeNull();
  }
  return held > 0 ? advisor::bench::HoldSubscribers(server, held)
                  : advisor::bench::Run(programs, parts, runs);
}
