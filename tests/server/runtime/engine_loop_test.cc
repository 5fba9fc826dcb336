#include "server/runtime/engine_loop.h"

#include <array>
#include <atomic>
#include <future>
#include <string>
#include <thread>
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

event::ReporterFrame FrameOf(uint64_t seq) {
  event::ReporterFrame event;
  event.frame.seq_last = seq;
  return event;
}

TEST(EngineLoopTest, StepsAFrameWhereItIsPostedWhenNothingWaits) {
  testing::FakeClock clock;
  std::thread::id stepped_by;
  EngineLoop loop(
      {[&](Event event, absl::Time) {
         if (std::holds_alternative<event::ReporterFrame>(event)) {
           stepped_by = std::this_thread::get_id();
         }
         return Effects();
       },
       [] { return EngineStatus(); }},
      clock, [](Effect) {}, [](absl::Time) {}, {});
  loop.Start();
  bool here = false;
  for (int i = 0; i < 1000 && !here; ++i) {
    ASSERT_TRUE(loop.Post(FrameOf(1)));
    ASSERT_TRUE(loop.Status().ok());  // what was posted before it is done
    here = stepped_by == std::this_thread::get_id();
  }
  EXPECT_TRUE(here);
}

TEST(EngineLoopTest, AFrameThatFindsTheEngineTakenWaitsForNoTick) {
  testing::FakeClock clock;
  std::promise<void> began, go, second;
  EngineLoopOptions options;
  options.tick = absl::Hours(1);
  EngineLoop loop(
      {[&](Event event, absl::Time) {
         const auto* frame = std::get_if<event::ReporterFrame>(&event);
         if (frame != nullptr && frame->frame.seq_last == 1) {
           began.set_value();
           go.get_future().wait();
         } else if (frame != nullptr) {
           second.set_value();
         }
         return Effects();
       },
       [] { return EngineStatus(); }},
      clock, [](Effect) {}, [](absl::Time) {}, options);
  loop.Start();
  std::thread sender([&] { EXPECT_TRUE(loop.Post(FrameOf(1))); });
  began.get_future().wait();
  EXPECT_TRUE(loop.Post(FrameOf(2)));  // does not wait for the first
  go.set_value();
  second.get_future().wait();
  sender.join();
  loop.Stop();
}

// Of one sender; frames are stepped here or there, as it happens.
TEST(EngineLoopTest, AFrameOvertakesNothing) {
  testing::FakeClock clock;
  constexpr uint64_t kSenders = 3, kEach = 2000;
  std::array<std::vector<uint64_t>, kSenders> taken;
  EngineLoopOptions options;
  options.tick = absl::ZeroDuration();
  options.mailbox.reports = kSenders * kEach;
  EngineLoop loop(
      {[&](Event event, absl::Time) {
         if (const auto* frame = std::get_if<event::ReporterFrame>(&event)) {
           taken[frame->stream.value()].push_back(frame->frame.seq_last);
         } else if (const auto* closed = std::get_if<event::ReporterClosed>(&event)) {
           taken[closed->stream.value()].push_back(0);
         }
         return Effects();
       },
       [] { return EngineStatus(); }},
      clock, [](Effect) {}, [](absl::Time) {}, options);
  loop.Start();
  std::vector<std::thread> senders;
  for (uint64_t s = 0; s < kSenders; ++s) {
    senders.emplace_back([&loop, s] {
      for (uint64_t i = 1; i <= kEach; ++i) {
        event::ReporterFrame event = FrameOf(i);
        event.stream = StreamId(s);
        EXPECT_TRUE(loop.Post(event));
        EXPECT_TRUE(loop.Post(event::ReporterClosed{StreamId(s)}));
      }
    });
  }
  for (std::thread& sender : senders) {
    sender.join();
  }
  loop.Stop();
  std::vector<uint64_t> want;
  for (uint64_t i = 1; i <= kEach; ++i) {
    want.insert(want.end(), {i, 0});
  }
  for (const std::vector<uint64_t>& one : taken) {
    EXPECT_EQ(one, want);
  }
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
