#include "client/engine/engine_client.h"

#include <unistd.h>

#include <atomic>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor::client {
namespace {

using ::advisor::testing::SmallModel;

const ModelSpec kModel = SmallModel(2, 6, 2);

EngineStep OneToken(uint64_t number) {
  EngineStep step;
  step.step = number;
  TokenBlock block;
  block.experts = {0, 1, 2, 3};
  step.blocks.push_back(std::move(block));
  return step;
}

EngineClientOptions Options() {
  EngineClientOptions options;
  options.socket = ::testing::TempDir() + "/nobody-" + std::to_string(getpid()) + ".sock";
  options.model = kModel;
  options.buffer_steps = 8;
  options.reconnect_min = absl::Milliseconds(5);
  return options;
}

TEST(EngineClientTest, WithoutAnAgentStepsWaitInBoundedMemory) {
  EngineClient client(Options(), {});
  for (uint64_t n = 1; n <= 20'000; ++n) {
    client.Record(OneToken(n));
  }
  const EngineClientStatus status = client.Status();
  EXPECT_EQ(status.steps, 20'000u);
  EXPECT_EQ(status.waiting, 9u);  // eight whole steps and one of all others
  EXPECT_EQ(status.lost, 0u);
  EXPECT_EQ(status.confirmed, 0u);
  EXPECT_FALSE(client.Flush(absl::Now()));
}

TEST(EngineClientTest, MalformedStepsAreRefusedAndCounted) {
  EngineClient client(Options(), {});
  EngineStep step = OneToken(1);
  step.blocks[0].experts[0] = 6;
  client.Record(step);
  EXPECT_EQ(client.Status().refused, 1u);
  EXPECT_EQ(client.Status().waiting, 0u);
}

TEST(EngineClientTest, ConfirmationsWithoutAnAgentAreBounded) {
  EngineClient client(Options(), {});
  for (uint64_t n = 1; n <= 10'000; ++n) {
    client.Confirm({1, n}, AckPhase::kStaged);
  }
  EXPECT_FALSE(client.Status().watching);
}

}  // namespace
}  // namespace advisor::client
