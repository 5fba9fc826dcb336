#include "server/runtime/commands.h"

#include <vector>

#include "gtest/gtest.h"

namespace advisor::server {
namespace {

TEST(CommandsTest, AnswersEachOnce) {
  Commands commands;
  std::vector<effect::CommandDone> answers;
  const auto note = [&](const effect::CommandDone& done) { answers.push_back(done); };
  const CommandId a = commands.Add(note);
  const CommandId b = commands.Add(note);
  EXPECT_NE(a, b);
  effect::CommandDone done;
  done.id = b;
  done.detail = "b";
  commands.Done(done);
  commands.Done(done);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].detail, "b");
}

TEST(CommandsTest, CloseAnswersAllAndRefusesLaterOnes) {
  Commands commands;
  std::vector<absl::Status> answers;
  const auto note = [&](const effect::CommandDone& done) { answers.push_back(done.status); };
  const CommandId before = commands.Add(note);
  commands.Close(absl::UnavailableError("draining"));
  commands.Add(note);
  effect::CommandDone done;
  done.id = before;
  commands.Done(done);
  EXPECT_EQ(answers, (std::vector<absl::Status>(2, absl::UnavailableError("draining"))));
}

}  // namespace
}  // namespace advisor::server
