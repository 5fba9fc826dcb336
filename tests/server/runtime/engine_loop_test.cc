#include "server/runtime/engine_loop.h"

#include <atomic>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

// Answers a SolveNow with its CommandDone, counts the rest.
class Script {
 public:
  Machine machine() {
    return {[this](Event event, absl::Time now) { return Step(std::move(event), now); },
            [this] {
              EngineStatus status;
              status.epoch = epoch_;
              return status;
            }};
  }
  std::atomic<int> ticks{0};

 private:
  Effects Step(Event event, absl::Time) {
    if (auto* start = std::get_if<event::Start>(&event)) {
      epoch_ = start->epoch;
    } else if (auto* command = std::get_if<event::SolveNow>(&event)) {
      effect::CommandDone done;
      done.id = command->id;
      done.detail = command->deployment;
      return {done, effect::Log{false, command->deployment, "done"}};
    } else if (std::holds_alternative<event::Tick>(event)) {
      ++ticks;
    }
    return {};
  }
  uint64_t epoch_ = 0;
};

TEST(EngineLoopTest, CarriesOutEffectsInOrder) {
  Script script;
  testing::FakeClock clock;
  std::vector<std::string> carried;  // on the engine thread until Stop()
  EngineLoop loop(
      script.machine(), clock,
      [&](Effect effect) {
        carried.push_back(std::holds_alternative<effect::Log>(effect)
                              ? "log"
                              : std::get<effect::CommandDone>(effect).detail);
      },
      [](absl::Time) {}, {});
  loop.Start();
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(loop.Post(event::SolveNow{CommandId(1), name}));
  }
  loop.Stop();  // works off what waits
  EXPECT_EQ(carried, (std::vector<std::string>{"a", "log", "b", "log"}));
  EXPECT_FALSE(loop.Post(event::SolveNow{CommandId(1), "late"}));
}

TEST(EngineLoopTest, AnswersQueriesAfterTheEventsBeforeThem) {
  Script script;
  testing::FakeClock clock;
  EngineLoop loop(
      script.machine(), clock, [](Effect) {}, [](absl::Time) {}, {});
  loop.Post(event::Start{7});
  loop.Start();
  ASSERT_OK_AND_ASSIGN(const auto status, loop.Status());
  EXPECT_EQ(status->epoch, 7u);
  loop.Stop();
  EXPECT_THAT(loop.Status(), StatusIs(absl::StatusCode::kUnavailable, HasSubstr("try again")));
}

TEST(EngineLoopTest, LosesPatienceWithAnEngineThatDoesNotAnswer) {
  Script script;
  testing::FakeClock clock;
  EngineLoop loop(
      script.machine(), clock, [](Effect) {}, [](absl::Time) {}, {});
  EXPECT_THAT(loop.Status(std::chrono::milliseconds(1)),  // never started
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("in time")));
}

TEST(EngineLoopTest, TicksWithoutEvents) {
  Script script;
  testing::FakeClock clock;
  std::promise<absl::Time> ticked;
  std::atomic<bool> first{true};
  EngineLoopOptions options;
  options.tick = absl::Milliseconds(1);
  EngineLoop loop(
      script.machine(), clock, [](Effect) {},
      [&](absl::Time now) {
        if (first.exchange(false)) {
          ticked.set_value(now);
        }
      },
      options);
  loop.Start();
  EXPECT_EQ(ticked.get_future().get(), clock.Now());
  EXPECT_GE(script.ticks, 1);
}

// A tick after a long turn must not judge by a time at which answers may already wait in the
// mailbox.
TEST(EngineLoopTest, TicksAtTheTimeOfTheMessagesBeforeIt) {
  Script script;
  testing::FakeClock clock;
  const absl::Time begin = clock.Now();
  std::promise<absl::Time> ticked;
  std::atomic<bool> first{true};
  EngineLoopOptions options;
  options.tick = absl::ZeroDuration();
  EngineLoop loop(
      script.machine(), clock, [&](Effect) { clock.Advance(absl::Seconds(20)); },
      [&](absl::Time now) {
        if (first.exchange(false)) {
          ticked.set_value(now);
        }
      },
      options);
  loop.Post(event::SolveNow{CommandId(1), "slow"});
  loop.Start();
  EXPECT_EQ(ticked.get_future().get(), begin);
}

TEST(EngineLoopTest, RefusesReportsByBytesButNeverEndsOfStreams) {
  Script script;
  testing::FakeClock clock;
  EngineLoopOptions options;
  options.mailbox = {.reports = 10, .report_bytes = 1000, .control = 1};
  EngineLoop loop(
      script.machine(), clock, [](Effect) {}, [](absl::Time) {}, options);
  event::ReporterFrame frame;
  frame.frame.blocks.resize(1);
  frame.frame.blocks[0].counts.data.assign(2000, 'x');
  EXPECT_TRUE(loop.Post(frame));
  EXPECT_FALSE(loop.Post(frame));
  event::ReporterWindow window;
  window.window.buckets.push_back(frame.frame);
  EXPECT_FALSE(loop.Post(window));
  EXPECT_TRUE(loop.Post(event::SubscriberAcked{}));
  EXPECT_FALSE(loop.Post(event::SubscriberAcked{}));
  EXPECT_TRUE(loop.Post(event::ReporterClosed{}));
  EXPECT_TRUE(loop.Post(event::SubscriberClosed{}));
  EXPECT_TRUE(loop.Post(event::PlanStored{}));
  EXPECT_EQ(loop.refused(), (std::array<uint64_t, 3>{2, 1, 0}));
}

}  // namespace
}  // namespace advisor::server
