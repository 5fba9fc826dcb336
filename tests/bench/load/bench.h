#ifndef ADVISOR_TESTS_BENCH_LOAD_BENCH_H_
#define ADVISOR_TESTS_BENCH_LOAD_BENCH_H_

#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/model/deployment.h"
#include "core/model/plan.h"

namespace advisor::bench {

using Time = std::chrono::steady_clock::time_point;
inline Time Now() { return std::chrono::steady_clock::now(); }
inline double Seconds(Time from, Time to) {
  return std::chrono::duration<double>(to - from).count();
}
// Blocks until `time`.
void WaitUntil(Time time);
inline void Wait(double seconds) {
  WaitUntil(Now() + std::chrono::microseconds(static_cast<int64_t>(seconds * 1e6)));
}
// Ends the program with one line; a bench that lost its ground has no figures.
[[noreturn]] void Die(const std::string& why);
// The value below which a share `q` of them lie.
double Quantile(std::vector<double> values, double q);

// Figures by row and name, over runs.
class Results {
 public:
  void Add(const std::string& row, const std::string& figure, const std::string& unit,
           double value);
  // A Markdown table: median, smallest and largest of the runs.
  void Print() const;

 private:
  struct Values {
    std::string unit;
    std::vector<double> values;
  };
  std::map<std::pair<std::string, std::string>, size_t> index_;
  std::vector<std::pair<std::pair<std::string, std::string>, Values>> figures_;  // as they came
};

// The programs under test, and this one for its own servers.
struct Programs {
  std::string self, advisord, agent;
};

// What all parts load: 58 MoE layers of 256 experts, top-8, on 8 nodes of 8 GPUs.
Deployment BenchDeployment();

// A daemon's configuration in a folder of its own, removed at the end. Nothing is solved.
class DaemonFolder {
 public:
  // `session`: YAML of the session section, e.g. "ack_every_frames: 1"; `limits` likewise.
  DaemonFolder(Mode mode, const std::string& session, const std::string& limits);
  ~DaemonFolder();
  DaemonFolder(const DaemonFolder&) = delete;
  DaemonFolder& operator=(const DaemonFolder&) = delete;

  const std::string& path() const { return path_; }
  // Puts `plans` plans of about 35 kB into the store, a move apart, so that a rollback is a push.
  // With `grouping`, tables of random affinities come with them. The store is left as a process
  // that was killed leaves it.
  void StorePlans(bool committed, bool grouping, int plans = 2) const;
  // The newer of them.
  Plan LastPlan() const;
  std::vector<std::string> Command(const Programs& programs) const;

 private:
  const Mode mode_;
  std::string path_;
};

// Limits under which thousands of streams open as fast as they come.
inline constexpr char kOpenDoor[] = "new_streams_per_s: 1000000, streams_per_connection: 100000";

// Each part adds its figures of one run.
void BenchIngest(const Programs& programs, Results* results);
void BenchFleet(const Programs& programs, Results* results);
void BenchPublish(const Programs& programs, Results* results);
void BenchIdle(const Programs& programs, Results* results);
void BenchSlow(const Programs& programs, Results* results);
void BenchHerd(const Programs& programs, Results* results);
void BenchAssign(const Programs& programs, Results* results);
void BenchRestart(const Programs& programs, Results* results);
void BenchAgent(const Programs& programs, Results* results);

}  // namespace advisor::bench

#endif  // ADVISOR_TESTS_BENCH_LOAD_BENCH_H_
