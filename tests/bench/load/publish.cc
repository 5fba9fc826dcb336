// Placements on their way to subscribers: fan-out, memory of those that idle, and what a reader
// that stands still costs the others.

#include <signal.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/bench/load/bench.h"
#include "tests/bench/load/server_process.h"
#include "tests/bench/load/subscribers.h"

namespace advisor::bench {
namespace {

double Last(const std::vector<double>& seconds) {
  return *std::max_element(seconds.begin(), seconds.end());
}

}  // namespace

void BenchPublish(const Programs& programs, Results* results) {
  constexpr int kPushes = 12;
  for (const int count : {1000, 5000}) {
    const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
    folder.StorePlans(false, false);
    const ServerProcess null(NullCommand(programs)), daemon(folder.Command(programs));
    Subscribers of_null(null.address(), count, 1, "s-"),
        of_daemon(daemon.address(), count, 1, "s-");
    // A first push takes its memory from the system; then in turn, so that both have the same
    // noise.
    of_null.Push();
    of_daemon.Push();
    std::vector<double> null_last, daemon_last, ratios, p50, p99;
    for (int i = 0; i < kPushes; ++i) {
      null_last.push_back(Last(of_null.Push()));
      const std::vector<double> seconds = of_daemon.Push();
      daemon_last.push_back(Last(seconds));
      ratios.push_back(daemon_last.back() / null_last.back());
      p50.push_back(Quantile(seconds, 0.5));
      p99.push_back(Quantile(seconds, 0.99));
    }
    const std::string row = absl::StrCat("publish to ", count, " connections");
    results->Add(row, "last, null", "ms", 1e3 * Quantile(null_last, 0.5));
    results->Add(row, "last, daemon", "ms", 1e3 * Quantile(daemon_last, 0.5));
    results->Add(row, "last, daemon / null", "ratio", Quantile(ratios, 0.5));
    results->Add(row, "p50 of subscribers, daemon", "ms", 1e3 * Quantile(p50, 0.5));
    results->Add(row, "p99 of subscribers, daemon", "ms", 1e3 * Quantile(p99, 0.5));
  }
}

void BenchIdle(const Programs& programs, Results* results) {
  constexpr int kWarm = 200, kCount = 4000;
  for (const int per_connection : {1, 100}) {
    const std::string row = per_connection == 1 ? "idle subscriber, own connection"
                                                : "idle subscriber, 100 to a connection";
    const auto measure = [&](const ServerProcess& server) {
      const Subscribers warm(server.address(), kWarm, per_connection, "w-");
      const double before = server.ResidentKilobytes();
      const Subscribers idle(server.address(), kCount, per_connection, "s-");
      Wait(12);  // the daemon's Progress has passed once
      return (server.ResidentKilobytes() - before) / kCount;
    };
    const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
    const ServerProcess null(NullCommand(programs)), daemon(folder.Command(programs));
    const double of_null = measure(null), of_daemon = measure(daemon);
    results->Add(row, "null", "kB", of_null);
    results->Add(row, "daemon", "kB", of_daemon);
    results->Add(row, "daemon / null", "ratio", of_daemon / of_null);
  }
}

void BenchSlow(const Programs& programs, Results* results) {
  constexpr int kCount = 950, kStalled = 50, kPushes = 12;
  const DaemonFolder folder(Mode::kAdvisory, "", kOpenDoor);
  folder.StorePlans(false, false);
  const ServerProcess daemon(folder.Command(programs));
  Subscribers others(daemon.address(), kCount, 1, "s-");
  const ServerProcess stalled(
      {programs.self, "--hold-subscribers", absl::StrCat(kStalled), "--server", daemon.address()});
  others.Push();
  const double before = daemon.ResidentKilobytes();
  std::vector<double> ratios, with, without;
  for (int i = 0; i < kPushes; ++i) {
    without.push_back(Quantile(others.Push(), 0.99));
    stalled.Signal(SIGSTOP);
    with.push_back(Quantile(others.Push(), 0.99));
    stalled.Signal(SIGCONT);
    ratios.push_back(with.back() / without.back());
    Wait(0.2);  // those that stood still catch up
  }
  const std::string row = "50 of 1,000 subscribers stand still";
  results->Add(row, "p99 of the others, without", "ms", 1e3 * Quantile(without, 0.5));
  results->Add(row, "p99 of the others, with", "ms", 1e3 * Quantile(with, 0.5));
  results->Add(row, "with / without", "ratio", Quantile(ratios, 0.5));
  results->Add(row, "daemon's memory", "kB each", (daemon.ResidentKilobytes() - before) / kStalled);
}

}  // namespace advisor::bench
