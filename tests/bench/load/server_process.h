#ifndef ADVISOR_TESTS_BENCH_LOAD_SERVER_PROCESS_H_
#define ADVISOR_TESTS_BENCH_LOAD_SERVER_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/load/bench.h"

namespace advisor::bench {

// A program of its own, so that its time and memory can be told from the load's.
class ServerProcess {
 public:
  // Returns once the first line came on its standard output: "... grpc=HOST:PORT ...".
  explicit ServerProcess(std::vector<std::string> command);
  ~ServerProcess();  // SIGTERM, and waits
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }
  void Signal(int number) const;
  // SIGKILL, and waits.
  void Kill();
  double CpuSeconds() const;  // user and system time so far
  double ResidentKilobytes() const;
  double PeakKilobytes() const;

 private:
  pid_t pid_ = 0;
  std::string address_;
};

// Bytes of a field of /proc/PID/status, in kB.
double StatusKilobytes(pid_t pid, const std::string& field);

// The null server beside which the daemon is measured.
inline std::vector<std::string> NullCommand(const Programs& programs) {
  return {programs.self, "--null-server"};
}

}  // namespace advisor::bench

#endif  // ADVISOR_TESTS_BENCH_LOAD_SERVER_PROCESS_H_
