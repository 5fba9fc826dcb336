#include "server/store/store_writer.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/support/fake_clock.h"

namespace advisor::server {
namespace {

// Notes writes, and fails those of deployment "full".
class ScriptedStore final : public PlanStore {
 public:
  explicit ScriptedStore(std::vector<std::string>* log) : log_(log) {}
  absl::StatusOr<uint64_t> BeginEpoch() override { return 1; }
  absl::StatusOr<LoadedDeployment> Load(const std::string&) override { return LoadedDeployment(); }
  LoadedDeployment LoadOlder(const std::string& deployment) override {
    log_->push_back("older " + deployment);
    return {.stored = {}, .damages = {"one"}};
  }
  absl::Status StorePlan(const std::string& deployment, const PlanRecord& record) override {
    log_->push_back("plan " + deployment + " " + std::to_string(record.published_unix_ms));
    return StatusFor(deployment);
  }
  absl::Status StoreState(const std::string& deployment, const DeploymentState&) override {
    log_->push_back("state " + deployment);
    return StatusFor(deployment);
  }

 private:
  static absl::Status StatusFor(const std::string& deployment) {
    return deployment == "full" ? absl::ResourceExhaustedError("disk is full") : absl::OkStatus();
  }
  std::vector<std::string>* const log_;
};

effect::StorePlan PlanWrite(const std::string& deployment) {
  effect::StorePlan write;
  write.deployment = deployment;
  auto plan = std::make_shared<Plan>();
  plan->position = {1, 2};
  write.record.plan = std::move(plan);
  return write;
}

TEST(StoreWriterTest, WritesInOrderAnswersPlansAndCounts) {
  std::vector<std::string> log;  // written on the writer's thread, read after Stop()
  std::vector<event::PlanStored> answers;
  std::vector<std::string> failures;
  testing::FakeClock clock;
  StoreWriter writer(
      std::make_unique<ScriptedStore>(&log), clock,
      [&](event::PlanStored stored) { answers.push_back(std::move(stored)); },
      [&](const std::string& deployment, const absl::Status&) { failures.push_back(deployment); });
  writer.LoadOlder("chat", [&](const LoadedDeployment& older) { failures = older.damages; });
  writer.Write(PlanWrite("chat"));
  writer.Write(effect::StoreState{"chat", {}});
  writer.Write(PlanWrite("full"));
  writer.Write(effect::StoreState{"full", {}});
  writer.Stop();  // after all is written
  EXPECT_EQ(log, (std::vector<std::string>{"older chat", "plan chat 1000000", "state chat",
                                           "plan full 1000000", "state full"}));
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[0].position, (Position{1, 2}));
  EXPECT_TRUE(answers[0].status.ok());
  EXPECT_EQ(answers[0].published_unix_ms, clock.UnixMillis());
  EXPECT_EQ(answers[1].status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(failures, (std::vector<std::string>{"one", "full"}));
  EXPECT_EQ(writer.counters().writes, 4u);
  EXPECT_EQ(writer.counters().failures, 2u);
  EXPECT_EQ(writer.counters().last_error, "disk is full");
}

}  // namespace
}  // namespace advisor::server
