#include "tests/bench/load/server_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace advisor::bench {

ServerProcess::ServerProcess(std::vector<std::string> command) {
  std::vector<char*> argv;
  for (std::string& argument : command) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  int out[2];
  if (pipe2(out, O_CLOEXEC) != 0 || (pid_ = fork()) < 0) {
    Die(absl::StrCat("cannot start ", command[0]));
  }
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // a bench that is stopped leaves nothing behind
    dup2(out[1], 1);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(out[1]);
  std::string line;
  for (char c; read(out[0], &c, 1) == 1 && c != '\n';) {
    line += c;
  }
  close(out[0]);
  if (line.find("grpc=") == std::string::npos) {
    Die(absl::StrCat(command[0], " did not say where it listens"));
  }
  const size_t begin = line.find("grpc=") + 5;
  address_ = line.substr(begin, line.find(' ', begin) - begin);
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGCONT);
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
}

void ServerProcess::Signal(int number) const { kill(pid_, number); }

void ServerProcess::Kill() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

double ServerProcess::CpuSeconds() const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/stat"));
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) {
    fields >> skipped;
  }
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double ServerProcess::ResidentKilobytes() const { return StatusKilobytes(pid_, "VmRSS:"); }
double ServerProcess::PeakKilobytes() const { return StatusKilobytes(pid_, "VmHWM:"); }

double StatusKilobytes(pid_t pid, const std::string& field) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, field.size(), field) == 0) {
      return std::stod(line.substr(field.size()));
    }
  }
  return 0;
}

}  // namespace advisor::bench
