// The program itself: flags, output, exit codes, signals.

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "advisor/v1/plan.grpc.pb.h"
#include "core/io/deployment_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/convert/plan.h"
#include "server/runtime/clock.h"
#include "server/store/sqlite_store.h"
#include "tests/server/support/temporary_folder.h"
#include "tests/support/sample_plan.h"

extern char** environ;

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

// A running advisord with its stdout and stderr. Killed at the end if it still runs.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    const std::string program = std::string(std::getenv("ADVISOR_BIN_DIR")) + "/advisord";
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    int out_pipe[2], err_pipe[2];
    EXPECT_EQ(pipe2(out_pipe, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err_pipe, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out_pipe[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err_pipe[1], 2);
    EXPECT_EQ(posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out_pipe[1]);
    close(err_pipe[1]);
    out_ = out_pipe[0];
    err_ = err_pipe[0];
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }

  // The first line of stdout.
  std::string Line() {
    std::string line;
    for (char c; read(out_, &c, 1) == 1 && c != '\n';) {
      line += c;
    }
    return line;
  }
  void Signal(int number) { kill(pid_, number); }
  // Waits for the end and returns the exit code, or -1 when it was killed by a signal.
  int Wait() {
    out = ReadAll(out_);
    err = ReadAll(err_);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string out, err;  // after Wait()

 private:
  static std::string ReadAll(int fd) {
    std::string all;
    char buffer[4096];
    for (ssize_t n = read(fd, buffer, sizeof(buffer)); n > 0;
         n = read(fd, buffer, sizeof(buffer))) {
      all.append(buffer, n);
    }
    return all;
  }
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
};

constexpr char kDeployment[] = R"(deployment: chat
model: {name: m, moe_layers: 2, experts: 8, top_k: 2, hidden_size: 16}
topology: {nodes: 2, gpus_per_node: 1, slots_per_gpu: 4}
)";

class MainTest : public ::testing::Test {
 protected:
  void SetUp() override { testing::WriteBytes(folder_ / "chat.yaml", kDeployment); }
  // Flags for free ports and a store of its own, and `more`.
  std::vector<std::string> Flags(const std::vector<std::string>& more = {}) {
    std::vector<std::string> flags = {
        "--deployment", folder_ / "chat.yaml", "--listen", "127.0.0.1:0",
        "--http",       "127.0.0.1:0",         "--store",  folder_ / "store.db"};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(MainTest, TellsItsPortsAndStopsOnSignals) {
  for (const int stop : {SIGTERM, SIGINT}) {
    Process daemon(Flags({"--ports-file", folder_ / "ports"}));
    const std::string line = daemon.Line();
    EXPECT_THAT(line, MatchesRegex("advisord: listening grpc=127\\.0\\.0\\.1:[0-9]+ "
                                   "http=127\\.0\\.0\\.1:[0-9]+"));
    EXPECT_EQ("advisord: listening " + testing::ReadBytes(folder_ / "ports"), line + "\n");
    daemon.Signal(stop);
    EXPECT_EQ(daemon.Wait(), 0);
    EXPECT_THAT(daemon.err, HasSubstr("msg=\"stopped\""));
  }
}

// A subscriber's first answer from the program that listens as `line` says.
v1::SubscribeResponse FirstAnswer(const std::string& line) {
  const size_t at = line.find("grpc=") + 5;
  const auto channel = grpc::CreateChannel(line.substr(at, line.find(' ', at) - at),
                                           grpc::InsecureChannelCredentials());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  const auto stream = v1::PlanService::NewStub(channel)->Subscribe(&context);
  SubscriberHello hello;
  hello.deployment = "chat";
  hello.subscriber_id = "router";
  hello.incarnation = {1, 2};
  v1::SubscribeRequest request;
  *request.mutable_hello() = ToProto(hello);
  v1::SubscribeResponse response;
  EXPECT_TRUE(stream->Write(request) && stream->Read(&response));
  context.TryCancel();
  return response;
}

TEST_F(MainTest, AKilledDaemonServesItsLastPlanAgain) {
  Plan plan = testing::SamplePlan(7);
  Deployment deployment;
  deployment.name = "chat";
  deployment.model = plan.model;
  deployment.topology = plan.topology;
  testing::WriteBytes(folder_ / "chat.yaml", DeploymentToYaml(deployment));
  PlanRecord record;
  record.content_hash = PlacementHash(plan);
  record.plan = std::make_shared<const Plan>(std::move(plan));
  {
    absl::StatusOr<std::unique_ptr<SqliteStore>> store = SqliteStore::Open(folder_ / "store.db", 4);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->StorePlan("chat", record).ok());
  }
  for (int life = 0; life < 3; ++life) {
    const absl::Time start = SystemClock().Now();
    Process daemon(Flags());
    const v1::SubscribeResponse answer = FirstAnswer(daemon.Line());
    RecordProperty("first_answer_ms",
                   static_cast<int>(absl::ToInt64Milliseconds(SystemClock().Now() - start)));
    EXPECT_EQ(answer.placement().position().revision(), 7u);
    EXPECT_EQ(answer.placement().content_hash(), record.content_hash);
    daemon.Signal(SIGKILL);
    EXPECT_EQ(daemon.Wait(), -1);
  }
}

TEST_F(MainTest, ASecondDaemonOnTheStoreOrPortFailsWithOneLine) {
  Process first(Flags({"--ports-file", folder_ / "ports"}));
  ASSERT_THAT(first.Line(), StartsWith("advisord: listening"));
  Process same_store(Flags());
  EXPECT_EQ(same_store.Wait(), 1);
  EXPECT_THAT(same_store.err,
              MatchesRegex("advisord: store .* is locked by another process; [^\n]*\n"));
  const std::string ports = testing::ReadBytes(folder_ / "ports");
  const std::string grpc = ports.substr(5, ports.find(' ') - 5);
  std::vector<std::string> flags = Flags();
  flags[3] = grpc;
  flags[7] = folder_ / "other.db";
  Process same_port(flags);
  EXPECT_EQ(same_port.Wait(), 1);
  EXPECT_THAT(same_port.err, StartsWith("advisord: cannot listen on " + grpc + ": "));
  EXPECT_EQ(same_port.err.find('\n'), same_port.err.size() - 1);
}

TEST_F(MainTest, BadFilesFailWithFileLineAndKey) {
  testing::WriteBytes(folder_ / "chat.yaml", std::string(kDeployment) + "modes: active\n");
  Process bad_deployment(Flags());
  EXPECT_EQ(bad_deployment.Wait(), 1);
  EXPECT_THAT(bad_deployment.err, HasSubstr("chat.yaml:4: unknown key modes"));
  testing::WriteBytes(folder_ / "advisord.yaml", "drain_s: soon\n");
  Process bad_config({"--config", folder_ / "advisord.yaml"});
  EXPECT_EQ(bad_config.Wait(), 1);
  EXPECT_THAT(bad_config.err, HasSubstr("advisord.yaml:1: drain_s"));
}

TEST_F(MainTest, RefusesToListenOffLoopback) {
  std::vector<std::string> flags = Flags();
  flags[3] = "0.0.0.0:0";
  Process refused(flags);
  EXPECT_EQ(refused.Wait(), 1);
  EXPECT_THAT(refused.err,
              MatchesRegex("advisord: will not listen on 0.0.0.0:0 without TLS[^\n]*\n"));
  flags.push_back("--allow-insecure");
  Process allowed(flags);
  EXPECT_THAT(allowed.Line(), StartsWith("advisord: listening grpc=0.0.0.0:"));
  allowed.Signal(SIGTERM);
  EXPECT_EQ(allowed.Wait(), 0);
}

TEST_F(MainTest, HelpVersionAndUsage) {
  Process help({"--help"});
  EXPECT_EQ(help.Wait(), 0);
  EXPECT_THAT(help.out, HasSubstr("--deployment"));
  Process version({"--version"});
  EXPECT_EQ(version.Wait(), 0);
  EXPECT_THAT(version.out, MatchesRegex("advisord [0-9.]+\n"));
  Process unknown({"--unknown"});
  EXPECT_EQ(unknown.Wait(), 2);
  Process nothing({});
  EXPECT_EQ(nothing.Wait(), 1);
  EXPECT_THAT(nothing.err, HasSubstr("give --deployment"));
}

}  // namespace
}  // namespace advisor::server
