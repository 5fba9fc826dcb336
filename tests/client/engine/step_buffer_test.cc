#include "client/engine/step_buffer.h"

#include "absl/strings/str_cat.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;

const ModelSpec kModel = SmallModel(2, 6, 2);

EngineStep OneToken(uint64_t number, const std::string& domain = "d", Position applied = {}) {
  EngineStep step;
  step.step = number;
  step.applied = applied;
  TokenBlock block;
  block.domain = domain;
  block.experts = {static_cast<uint16_t>(number % 6), static_cast<uint16_t>((number + 1) % 6), 0,
                   1};
  block.requests = {{"r", 1}};
  step.blocks.push_back(std::move(block));
  return step;
}

TEST(StepBufferTest, KeepsStepsWholeAndThenMergesThemLosingNoToken) {
  StepBuffer buffer(kModel, 3);
  for (uint64_t n = 1; n <= 10; ++n) {
    EXPECT_TRUE(buffer.Push(OneToken(n)));
  }
  EXPECT_EQ(buffer.size(), 4u);  // three whole, the rest in one
  for (uint64_t n = 1; n <= 3; ++n) {
    const auto step = buffer.Pop();
    ASSERT_TRUE(step);
    EXPECT_EQ(step->step.step, n);
    EXPECT_EQ(step->merged_steps, 1u);
    EXPECT_EQ(step->step.blocks[0].requests[0].request_id, "r");
  }
  const auto merged = buffer.Pop();
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->merged_steps, 7u);
  EXPECT_EQ(merged->step.step, 10u);
  ASSERT_EQ(merged->merged.size(), 1u);
  EXPECT_EQ(merged->merged[0].tokens, 7u);
  std::vector<uint32_t> wanted(12, 0);
  for (uint64_t n = 4; n <= 10; ++n) {
    ++wanted[n % 6];
    ++wanted[(n + 1) % 6];
    ++wanted[6 + 0];
    ++wanted[6 + 1];
  }
  EXPECT_EQ(merged->merged[0].counts, wanted);
  EXPECT_FALSE(buffer.Pop());
  EXPECT_TRUE(buffer.Push(OneToken(11)));  // whole again
  EXPECT_EQ(buffer.Pop()->step.blocks.size(), 1u);
}

TEST(StepBufferTest, JoinsWaitingStepsWholeUpToALimitAndASwitch) {
  StepBuffer buffer(kModel, 100);
  for (uint64_t n = 1; n <= 6; ++n) {
    buffer.Push(OneToken(n, n == 2 ? "other" : "d", n <= 5 ? Position{} : Position{1, 1}));
  }
  const auto joined = buffer.Pop(16);  // four tokens of four ids
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->merged_steps, 4u);
  EXPECT_EQ(joined->step.step, 4u);
  ASSERT_EQ(joined->step.blocks.size(), 2u);
  EXPECT_EQ(joined->step.blocks[0].experts,
            (std::vector<uint16_t>{1, 2, 0, 1, 3, 4, 0, 1, 4, 5, 0, 1}));
  EXPECT_EQ(joined->step.blocks[0].requests.size(), 3u);
  EXPECT_EQ(joined->step.blocks[1].domain, "other");
  EXPECT_EQ(buffer.Pop(1000)->merged_steps, 1u);  // the next one has another placement
  EXPECT_EQ(buffer.Pop(1000)->step.applied, (Position{1, 1}));
  EXPECT_FALSE(buffer.Pop(1000));
}

TEST(StepBufferTest, LosesOnlyWhatCannotBeAddedUp) {
  StepBuffer buffer(kModel, 1);
  EXPECT_TRUE(buffer.Push(OneToken(1)));
  EXPECT_TRUE(buffer.Push(OneToken(2)));
  EXPECT_FALSE(buffer.Push(OneToken(3, "d", {1, 1})));  // another placement: a message has one
  for (int d = 0; d < 127; ++d) {
    EXPECT_TRUE(buffer.Push(OneToken(4 + d, absl::StrCat("d", d))));
  }
  EXPECT_FALSE(buffer.Push(OneToken(200, "one too many")));
  EXPECT_TRUE(buffer.Push(OneToken(201)));
  EXPECT_EQ(buffer.size(), 2u);
}

TEST(StepBufferTest, ChecksShapeAndRange) {
  EngineStep step = OneToken(5);
  EXPECT_THAT(StepBuffer::Check(kModel, step), IsOk());
  step.blocks[0].experts[2] = 6;
  EXPECT_THAT(StepBuffer::Check(kModel, step),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("step 5 block 0: expert 6 is out of range, must be 0 .. 5")));
  step.blocks[0].experts.pop_back();
  EXPECT_THAT(StepBuffer::Check(kModel, step),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must be a multiple of 4")));
}

}  // namespace
}  // namespace advisor::client
