#ifndef ADVISOR_TESTS_INTEGRATION_PROCESS_H_
#define ADVISOR_TESTS_INTEGRATION_PROCESS_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/files.h"

namespace advisor::testing {

// A program of this project under test; its output goes to files. Never outlives the object.
class Process {
 public:
  // argv[0] is a program in the build's bin folder. Output: `log`.out and `log`.err.
  Process(std::vector<std::string> argv, std::string log) : log_(std::move(log)) {
    const char* bin = std::getenv("ADVISOR_BIN_DIR");
    argv[0] = std::string(bin == nullptr ? "bin" : bin) + "/" + argv[0];
    std::vector<char*> args;
    for (std::string& arg : argv) {
      args.push_back(arg.data());
    }
    args.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(open((log_ + ".out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 1);
      dup2(open((log_ + ".err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), 2);
      execv(args[0], args.data());
      _exit(127);
    }
    fd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(fd_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Exit code once it has ended; -1 when it runs on after so many seconds, -2 when a signal ended
  // it.
  int Wait(int seconds) {
    pollfd ended{fd_, POLLIN, 0};
    if (pid_ <= 0 || poll(&ended, 1, seconds * 1000) != 1) {
      return -1;
    }
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
  }
  void Signal(int signal) { kill(pid_, signal); }
  int Stop(int seconds = 20) {
    Signal(SIGTERM);
    return Wait(seconds);
  }
  bool running() {
    pollfd ended{fd_, POLLIN, 0};
    return pid_ > 0 && poll(&ended, 1, 0) == 0;
  }
  // Until `path` exists or the process has ended; bounded.
  bool WaitForFile(const std::string& path) {
    for (int i = 0; i < 2000 && running(); ++i) {
      if (access(path.c_str(), F_OK) == 0) {
        return true;
      }
      pollfd ended{fd_, POLLIN, 0};
      poll(&ended, 1, 10);
    }
    return false;
  }
  std::string out() const { return ReadFile(log_ + ".out"); }
  std::string err() const { return ReadFile(log_ + ".err"); }

 private:
  const std::string log_;
  pid_t pid_ = -1;
  int fd_ = -1;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_INTEGRATION_PROCESS_H_
