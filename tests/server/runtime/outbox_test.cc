#include "server/runtime/outbox.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/server/support/fake_clock.h"

namespace advisor::server {
namespace {

using Box = Outbox<std::string>;

// Notes what is written and how the stream was finished; writes stay in flight until told.
class Recorder final : public Box::Writer {
 public:
  void StartWrite(const std::string& message) override { written.push_back(message); }
  void Cancel() override { ++cancels; }
  void Finish(const absl::Status& status) override {
    ++finishes;
    final_status = status;
  }
  std::vector<std::string> written;
  int cancels = 0, finishes = 0;
  absl::Status final_status;
};

class OutboxTest : public ::testing::Test {
 protected:
  testing::FakeClock clock_;
  Recorder writer_;
  Box box_{&writer_, clock_};
};

TEST_F(OutboxTest, HasOneWriteInFlight) {
  box_.Send(0, "a");
  box_.Send(1, "b");
  EXPECT_EQ(writer_.written, (std::vector<std::string>{"a"}));
  box_.OnWriteDone(true);
  EXPECT_EQ(writer_.written, (std::vector<std::string>{"a", "b"}));
  box_.OnWriteDone(true);
  box_.Send(0, "c");
  EXPECT_EQ(writer_.written.back(), "c");
}

TEST_F(OutboxTest, TheLatestOfAKindWinsAndGoesToTheBack) {
  box_.Send(0, "in flight");
  box_.Send(0, "plan 1");
  box_.Send(1, "decision");
  box_.Send(0, "plan 2");
  for (int i = 0; i < 3; ++i) {
    box_.OnWriteDone(true);
  }
  EXPECT_EQ(writer_.written, (std::vector<std::string>{"in flight", "decision", "plan 2"}));
}

TEST_F(OutboxTest, MergesWhatItReplaces) {
  Box merging(&writer_, clock_,
              [](const std::string& old, std::string* message) { *message = old + *message; });
  merging.Send(0, "1");
  merging.Send(0, "2");
  merging.Send(0, "3");
  merging.OnWriteDone(true);
  EXPECT_EQ(writer_.written, (std::vector<std::string>{"1", "23"}));
}

TEST_F(OutboxTest, FinishesOnceAfterTheWriteInFlight) {
  box_.Send(0, "a");
  box_.Send(1, "never");
  box_.End(absl::UnavailableError("draining"));
  box_.End(absl::InternalError("later"));
  EXPECT_EQ(writer_.finishes, 0);
  box_.OnWriteDone(true);
  EXPECT_EQ(writer_.finishes, 1);
  EXPECT_EQ(writer_.final_status, absl::UnavailableError("draining"));
  box_.Send(0, "late");
  EXPECT_EQ(writer_.written.size(), 1u);
}

TEST_F(OutboxTest, FinishesAtOnceWhenIdle) {
  box_.End(absl::OkStatus());
  EXPECT_EQ(writer_.finishes, 1);
  EXPECT_TRUE(box_.ended());
}

TEST_F(OutboxTest, AFailedWriteEndsTheStream) {
  box_.Send(0, "a");
  box_.Send(1, "never");
  box_.OnWriteDone(false);
  EXPECT_EQ(writer_.finishes, 1);
  EXPECT_EQ(writer_.final_status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(writer_.written.size(), 1u);
}

TEST_F(OutboxTest, EndsAStreamWhoseReaderStalls) {
  const absl::Status slow = absl::ResourceExhaustedError("SLOW_CONSUMER");
  EXPECT_FALSE(box_.EndIfStalled(clock_.Now() + absl::Hours(1), slow));  // nothing in flight
  box_.Send(0, "a");
  EXPECT_FALSE(box_.EndIfStalled(clock_.Now(), slow));  // just begun
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(box_.EndIfStalled(clock_.Now(), slow));
  EXPECT_EQ(writer_.cancels, 1);
  EXPECT_EQ(writer_.finishes, 0);  // not before the write is back
  box_.OnWriteDone(false);
  EXPECT_EQ(writer_.finishes, 1);
  EXPECT_EQ(writer_.final_status, slow);
}

TEST_F(OutboxTest, SurvivesAWriteThatEndsWhileItIsCancelled) {
  class Synchronous final : public Box::Writer {
   public:
    void StartWrite(const std::string&) override {}
    void Cancel() override { box->OnWriteDone(false); }
    void Finish(const absl::Status&) override { ++finishes; }
    Box* box = nullptr;
    int finishes = 0;
  } writer;
  Box box(&writer, clock_);
  writer.box = &box;
  box.Send(0, "a");
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(box.EndIfStalled(clock_.Now(), absl::AbortedError("slow")));
  EXPECT_EQ(writer.finishes, 1);
}

// A transport on its own thread, under senders, a stall check and an end that come at any time.
TEST(OutboxThreadsTest, FinishesExactlyOnceAndWritesOneAtATime) {
  testing::FakeClock clock;
  for (int round = 0; round < 50; ++round) {
    class Threaded final : public Box::Writer {
     public:
      void StartWrite(const std::string&) override {
        EXPECT_EQ(in_flight.exchange(1), 0);
        EXPECT_FALSE(finished);
      }
      void Cancel() override { EXPECT_FALSE(finished); }
      void Finish(const absl::Status&) override {
        EXPECT_EQ(in_flight, 0);
        EXPECT_FALSE(finished.exchange(true));
      }
      std::atomic<int> in_flight{0};
      std::atomic<bool> finished{false};
    } writer;
    auto box = std::make_shared<Box>(&writer, clock);
    std::thread transport([&] {
      while (!writer.finished) {
        if (writer.in_flight.exchange(0) == 1) {
          box->OnWriteDone(true);
        } else {
          std::this_thread::yield();
        }
      }
    });
    std::vector<std::thread> senders;
    for (int kind = 0; kind < 3; ++kind) {
      senders.emplace_back([&, kind] {
        for (int i = 0; i < 200; ++i) {
          box->Send(kind, std::to_string(i));
        }
      });
    }
    std::thread stall([&] { box->EndIfStalled(clock.Now() + absl::Seconds(1), absl::OkStatus()); });
    std::thread end([&] { box->End(absl::OkStatus()); });
    for (std::thread& sender : senders) {
      sender.join();
    }
    stall.join();
    end.join();
    transport.join();
    EXPECT_TRUE(writer.finished);
  }
}

}  // namespace
}  // namespace advisor::server
