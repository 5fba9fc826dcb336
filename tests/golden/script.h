#ifndef ADVISOR_TESTS_GOLDEN_SCRIPT_H_
#define ADVISOR_TESTS_GOLDEN_SCRIPT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_subscriber.h"

namespace advisor::testing {

// Drives one deployment of two nodes by commands, on a fake clock and a scripted solver, and prints
// what was decided and who was told what. The commands are listed in tests/golden/README.md.
class Script {
 public:
  Script();
  // Runs one line; what happened is appended to output(). False: not a command.
  bool Run(const std::string& line);
  const std::string& output() const { return output_; }

 private:
  using Arguments = std::map<std::string, std::string>;
  struct Agent {
    std::unique_ptr<FakeSubscriber> subscriber;
    StreamId reports, plans;
    bool reporting = false, subscribed = false;
    uint64_t incarnation = 1, seq = 1;
    size_t read = 0;  // of the plan stream's mailbox
  };

  absl::StatusOr<Plan> Solve(const effect::StartSolve& solve);
  bool Option(const std::string& name, const std::string& value);
  void Start(const Arguments& arguments);
  void ConnectReporter(Agent* agent, uint64_t incarnation);
  void ConnectSubscriber(Agent* agent);
  void Connect(const std::string& who);
  void ConnectActor(const std::string& who, const std::string& node);
  void Report(const Arguments& arguments);
  void SendEmptyFrames();
  bool SolverCommand(const std::vector<std::string>& words, const Arguments& arguments);
  bool AgentCommand(const std::vector<std::string>& words, const Arguments& arguments);
  bool OperatorCommand(const std::vector<std::string>& words, const Arguments& arguments);
  void Show(const std::string& what);

  // Lets messages and acknowledgements run until nobody has anything to say.
  void Settle();
  void DeliverTo(Agent* agent);
  void PrintNews();
  void Print(const std::string& text);

  Deployment deployment_;
  DeploymentOptions options_;
  FakeDaemon daemon_;
  std::map<std::string, Agent> agents_;
  Rng rng_{1};
  absl::Time started_;
  bool running_ = false;
  uint64_t next_key_ = 1, next_command_ = 1;
  // What the solver does.
  int variant_ = 1;
  bool grouped_ = true, swapped_ = false;
  double predicted_saving_ = 0;
  std::string solver_fails_;
  // What was printed already.
  uint64_t decisions_seen_ = 0;
  size_t commands_seen_ = 0;
  std::string output_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_GOLDEN_SCRIPT_H_
