#ifndef ADVISOR_TESTS_SUPPORT_PROCESS_H_
#define ADVISOR_TESTS_SUPPORT_PROCESS_H_

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/files.h"

extern char** environ;

namespace advisor::testing {

struct ProcessResult {
  int exit_code = -1;  // -1: not started or killed by a signal
  std::string out, err;
};

// Runs a program to its end, standard input empty, output and errors taken from it.
inline ProcessResult RunProcess(const std::vector<std::string>& command) {
  TemporaryFolder folder;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  const std::string out = folder.Path("out"), err = folder.Path("err");
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT, 0600);
  std::vector<std::string> copy = command;  // posix_spawn wants them writable
  std::vector<char*> argv;
  for (std::string& argument : copy) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  ProcessResult result;
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (error != 0 || waitpid(pid, &status, 0) != pid) {
    ADD_FAILURE() << "cannot run " << command[0];
    return result;
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.out = ReadFile(out);
  result.err = ReadFile(err);
  return result;
}

// A program of this build.
inline std::string Program(const std::string& name) {
  const char* folder = std::getenv("ADVISOR_BIN_DIR");
  EXPECT_NE(folder, nullptr) << "ADVISOR_BIN_DIR is not set: run the test through ctest";
  return std::string(folder == nullptr ? "" : folder) + "/" + name;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_PROCESS_H_
