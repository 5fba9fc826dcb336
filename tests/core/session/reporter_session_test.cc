#include "core/session/reporter_session.h"

#include "core/window/statistics.h"
#include "core/window/traffic_window.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/fake_agent.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Result = ReporterSession::Result;
using testing::IsOk;
using testing::StatusIs;
using testing::SumsByKey;

class ReporterSessionTest : public ::testing::Test {
 protected:
  ReporterSessionTest() {
    window_options_.bucket_tokens = 20;
    window_options_.buckets = 4;
    window_options_.bucket_steps = 50;
    traffic_ = std::make_unique<TrafficWindow>(model_, window_options_, 1);
  }
  ReporterWindow* window() { return *traffic_->Open("agent", NodeId(0)); }
  HelloAck Open(Incarnation incarnation, uint64_t next_seq) {
    ReporterHello hello{"chat", "agent", incarnation, 0, "node-0", next_seq};
    EXPECT_THAT(session_.Admit(hello), IsOk());
    HelloAck ack;
    session_.Open(StreamId(++streams_), hello, window(), now_, &ack);
    return ack;
  }
  Frame MakeFrame(uint64_t first, uint64_t last) {
    Frame frame;
    frame.seq_first = first;
    frame.seq_last = last;
    frame.steps = last - first + 1;
    frame.blocks.push_back(testing::BlockOf(
        model_, {"d", 1}, testing::RandomSums(model_, 3 * frame.steps, &rng_), &rng_));
    return frame;
  }

  ModelSpec model_ = testing::SmallModel(2, 8, 2);
  WindowOptions window_options_;
  SessionOptions options_;
  std::unique_ptr<TrafficWindow> traffic_;
  ReporterSession session_{"agent"};
  absl::Time now_ = absl::UnixEpoch();
  uint64_t streams_ = 0;
  Rng rng_{31};
};

TEST_F(ReporterSessionTest, SequencesAreConsumedOnceAndInOrder) {
  Open({0, 1}, 1);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(1, 2), window(), now_).result, Result::kApplied);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(1, 2), window(), now_).result, Result::kDuplicate);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(2, 2), window(), now_).result, Result::kDuplicate);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(2, 3), window(), now_).result, Result::kGap);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(4, 4), window(), now_).result, Result::kGap);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(3, 3), window(), now_).result, Result::kApplied);
  EXPECT_EQ(session_.high(), 3u);
  EXPECT_EQ(session_.counters().tokens, 9u);
  EXPECT_EQ(session_.counters().duplicate_frames, 2u);
  EXPECT_THAT(
      session_.TakeFrame(MakeFrame(0, 4), window(), now_).status,
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("frame.seq_first is 0, seq_last 4")));
}

TEST_F(ReporterSessionTest, AcknowledgesByCountOrTimeAndAGapAtOnce) {
  Open({0, 1}, 1);
  for (uint64_t seq = 1; seq <= 3; ++seq) {
    session_.TakeFrame(MakeFrame(seq, seq), window(), now_);
    EXPECT_FALSE(session_.DueAck(options_, now_).has_value());
  }
  session_.TakeFrame(MakeFrame(4, 4), window(), now_);
  EXPECT_EQ(session_.DueAck(options_, now_)->acked_seq, 4u);
  EXPECT_FALSE(session_.DueAck(options_, now_).has_value());
  session_.TakeFrame(MakeFrame(5, 5), window(), now_);
  EXPECT_FALSE(session_.DueAck(options_, now_ + absl::Milliseconds(99)).has_value());
  EXPECT_EQ(session_.DueAck(options_, now_ + absl::Milliseconds(100))->acked_seq, 5u);
  session_.TakeFrame(MakeFrame(9, 9), window(), now_);
  const auto ack = session_.DueAck(options_, now_);
  ASSERT_TRUE(ack.has_value());
  EXPECT_TRUE(ack->want_key_frame);
  EXPECT_EQ(ack->acked_seq, 5u);
}

// The daemon dropped a frame before it came here; the reporter may be out of credit and silent.
TEST_F(ReporterSessionTest, AGapThatIsToldIsAskedForAtOnce) {
  Open({0, 1}, 1);
  session_.TakeFrame(MakeFrame(1, 1), window(), now_);
  session_.TakeGap();
  const auto ack = session_.DueAck(options_, now_);
  ASSERT_TRUE(ack.has_value());
  EXPECT_TRUE(ack->want_key_frame);
  EXPECT_EQ(ack->acked_seq, 1u);
  EXPECT_FALSE(session_.DueAck(options_, now_).has_value());
}

TEST_F(ReporterSessionTest, AcknowledgementNamesWhatWasRefused) {
  Open({0, 1}, 1);
  for (uint64_t seq = 1; seq <= 20; ++seq) {
    Frame frame = MakeFrame(seq, seq);
    frame.blocks[0].tokens = 4;
    session_.TakeFrame(frame, window(), now_);
  }
  const auto ack = session_.DueAck(options_, now_);
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->acked_seq, 20u);  // consumed all the same
  EXPECT_THAT(ack->rejects, SizeIs(16));
  EXPECT_EQ(ack->rejects[0].reason, RejectReason::kSumLaw);
  EXPECT_EQ(ack->rejected_blocks, 20u);
}

TEST_F(ReporterSessionTest, ANewProcessRetiresTheOldOne) {
  Open({0, 1}, 1);
  session_.TakeFrame(MakeFrame(1, 1), window(), now_);
  EXPECT_EQ(Open({0, 1}, 2).resume_after_seq, 1u);
  EXPECT_EQ(Open({0, 2}, 1).resume_after_seq, 0u);
  EXPECT_THAT(session_.Admit({"chat", "agent", {0, 1}, 0, "node-0", 2}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("STALE_INCARNATION")));
  EXPECT_EQ(session_.TakeFrame(MakeFrame(1, 1), window(), now_).result, Result::kApplied);
  EXPECT_EQ(traffic_->tokens(), 3u);  // the old process's open bucket was closed with it
}

TEST_F(ReporterSessionTest, AnUnknownProcessWithAPastIsAskedForItsWindow) {
  EXPECT_TRUE(Open({0, 1}, 40).want_window);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(40, 40), window(), now_).result, Result::kGap);
  WindowReplay replay;
  replay.through_seq = 39;
  for (int i = 0; i < 3; ++i) {
    replay.buckets.push_back(MakeFrame(1, 2));
  }
  EXPECT_THAT(session_.TakeWindow(replay, window(), now_), IsOk());
  EXPECT_EQ(traffic_->tokens(), 18u);
  EXPECT_EQ(session_.high(), 39u);
  EXPECT_EQ(session_.TakeFrame(MakeFrame(40, 40), window(), now_).result, Result::kApplied);
  EXPECT_THAT(session_.TakeWindow(replay, window(), now_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("want_window")));
}

TEST_F(ReporterSessionTest, AKeyFrameOnAnotherBaseStartsTheExchangeAgain) {
  Open({0, 1}, 1);
  Frame key = MakeFrame(1, 5);
  key.key_frame = true;
  key.key_base_seq = 3;
  const auto result = session_.TakeFrame(key, window(), now_);
  EXPECT_EQ(result.result, Result::kEnd);
  EXPECT_THAT(result.status, StatusIs(absl::StatusCode::kAborted, HasSubstr("Hello")));
}

TEST_F(ReporterSessionTest, LostStepsAreCountedOnceAsTheyAreStated) {
  Open({0, 1}, 1);
  const uint64_t stated[] = {0, 3, 3, 2, 7};
  for (uint64_t seq = 1; seq <= 5; ++seq) {
    Frame frame = MakeFrame(seq, seq);
    frame.lost_steps = stated[seq - 1];
    session_.TakeFrame(frame, window(), now_);
  }
  EXPECT_EQ(session_.counters().lost_steps, 7u);
}

TEST_F(ReporterSessionTest, Liveness) {
  Open({0, 1}, 1);
  using Liveness = ReporterSession::Liveness;
  EXPECT_EQ(session_.LivenessAt(options_, now_ + absl::Seconds(3)), Liveness::kLive);
  EXPECT_EQ(session_.LivenessAt(options_, now_ + absl::Seconds(4)), Liveness::kStale);
  EXPECT_EQ(session_.LivenessAt(options_, now_ + absl::Seconds(61)), Liveness::kGone);
}

// Whatever the network does, every step is counted once in the end.
TEST_F(ReporterSessionTest, EveryStepIsCountedOnceOverALossyDoublingNetwork) {
  testing::FakeReporter agent(model_, "agent", "node-0", {0, 1});
  SumsByKey truth;
  bool open = false;
  std::optional<Frame> last;
  for (int i = 0; i < 3000; ++i) {
    now_ += absl::Milliseconds(50);
    if (i < 2900) {
      SumsByKey sums;
      sums[{"d" + std::to_string(rng_.Below(2)), 1}] =
          testing::RandomSums(model_, 1 + rng_.Below(3), &rng_);
      for (const auto& [key, s] : sums) {
        truth[key].Add(s);
      }
      agent.Count(sums, {}, &rng_);
    }
    const bool calm = i > 2900;
    if (!open || (!calm && rng_.Below(40) == 0)) {
      agent.OnHelloAck(Open({0, 1}, agent.next_seq()));
      open = true;
    }
    while (std::optional<Frame> frame = agent.NextFrame(&rng_)) {
      if (calm || rng_.Below(6) != 0) {
        session_.TakeFrame(*frame, window(), now_);
      }
      if (!calm && last.has_value() && rng_.Below(5) == 0) {
        session_.TakeFrame(*last, window(), now_);  // late, or doubled
      }
      last = std::move(frame);
    }
    std::optional<FrameAck> ack = session_.DueAck(options_, now_);
    if (ack.has_value() && (calm || rng_.Below(4) != 0)) {
      agent.OnFrameAck(*ack);
    }
  }
  for (const ReporterWindow::Slot& slot : window()->slots()) {
    const std::vector<uint32_t>& want = truth[{window()->domains()[slot.domain].name, 1}].cells;
    std::vector<uint32_t> counted(want.size(), 0);
    window()->Counted(slot).AddTo(counted.data());
    ASSERT_EQ(counted, want);
  }
  EXPECT_EQ(session_.counters().steps, 2900u);
  EXPECT_EQ(session_.counters().rejected_blocks, 0u);
  EXPECT_GT(session_.counters().duplicate_frames, 0u);
}

}  // namespace
}  // namespace advisor
