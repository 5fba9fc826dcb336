#include "client/agent/report_session.h"

#include <map>
#include <tuple>

#include "proto/convert/counts.h"
#include "tests/client/agent/steps.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;
using testing::RandomIds;
using testing::StepBuilder;

const ModelSpec kModel = SmallModel(2, 8, 2);

std::function<Incarnation()> Incarnations() {
  return [n = uint64_t{0}]() mutable { return Incarnation{1, ++n}; };
}

ReportSession NewSession() { return ReportSession({"chat", "node-0", "node-0"}, Incarnations()); }

HelloAck Ack(uint64_t resume_after = 0, uint32_t credits = 4) {
  HelloAck ack;
  ack.model = kModel;
  ack.topology = *Topology::Uniform(2, 1, 4);
  ack.resume_after_seq = resume_after;
  ack.credits = credits;
  ack.min_interval_ms = 10;
  ack.max_interval_ms = 100;
  ack.sample_tokens = 4;
  ack.window_buckets = 1000;
  ack.bucket_tokens = 20;
  ack.bucket_steps = 10;
  return ack;
}

using Totals =
    std::map<std::tuple<std::string, Phase>, std::vector<uint64_t>>;  // tokens, then cells

void AddBlocks(const Frame& frame, int64_t sign, Totals* totals) {
  for (const ReportBlock& block : frame.blocks) {
    std::vector<uint64_t>& sums = (*totals)[{block.domain, block.phase}];
    sums.resize(1 + kModel.moe_layers * kModel.experts);
    sums[0] += sign * block.tokens;
    const auto counts = DecodeCounts(block.counts, kModel.moe_layers, kModel.experts);
    ASSERT_THAT(counts, IsOk());
    for (size_t i = 0; i < counts->size(); ++i) {
      sums[1 + i] += sign * (*counts)[i];
    }
  }
}

// The daemon's side of the promise: consumes sequences exactly once, asks for key frames and
// windows.
class SlowDaemon {
 public:
  HelloAck OnHello(const ReporterHello& hello, uint32_t credits) {
    HelloAck ack = Ack(0, credits);
    ack.key_frame_every = 5;
    if (!known_ || hello.incarnation != incarnation_) {
      known_ = false;
      incarnation_ = hello.incarnation;
      ack.want_window = true;
      return ack;
    }
    ack.resume_after_seq = high_;
    return ack;
  }
  void OnWindow(const WindowReplay& window) {
    totals_.clear();
    since_base_.clear();
    for (const Frame& bucket : window.buckets) {
      AddBlocks(bucket, 1, &totals_);
    }
    known_ = true;
    base_ = high_ = window.through_seq;
  }
  // Whether it wants a key frame now.
  bool OnFrame(const Frame& frame) {
    if (frame.key_frame) {
      EXPECT_EQ(frame.key_base_seq, base_);
      EXPECT_EQ(frame.seq_first, base_ + 1);
      for (const auto& [key, sums] : since_base_) {
        for (size_t i = 0; i < sums.size(); ++i) {
          totals_[key][i] -= sums[i];
        }
      }
      since_base_.clear();
      AddBlocks(frame, 1, &totals_);
      AddBlocks(frame, 1, &since_base_);
      high_ = frame.seq_last;
      return false;
    }
    if (frame.seq_last <= high_) {
      ++duplicates_;
      return false;
    }
    if (frame.seq_first != high_ + 1) {
      return true;
    }
    high_ = frame.seq_last;
    AddBlocks(frame, 1, &totals_);
    AddBlocks(frame, 1, &since_base_);
    return false;
  }
  void Forget() { known_ = false; }
  void LosePast(uint64_t back) { high_ -= std::min(back, high_ - base_); }  // pretends a gap
  uint64_t high() const { return high_; }
  const Totals& totals() const { return totals_; }
  int duplicates_ = 0;

 private:
  bool known_ = false;
  Incarnation incarnation_;
  uint64_t high_ = 0, base_ = 0;
  Totals totals_, since_base_;
};

Totals WithoutZeros(Totals totals) {
  std::erase_if(totals, [](const auto& entry) { return entry.second[0] == 0; });
  return totals;
}

struct World {
  explicit World(uint64_t seed) : rng(seed), session(NewSession()) {}

  void RecordSome() {
    for (uint32_t i = rng.Below(4); i > 0; --i) {
      StepBuilder builder(++step,
                          rng.Below(40) == 0 ? Position{1, ++revision} : Position{1, revision});
      for (const char* domain : {"a", "b"}) {
        const Phase phase = rng.Below(2) == 0 ? Phase::kPrefill : Phase::kDecode;
        const std::vector<uint16_t> ids =
            RandomIds(kModel, 1 + static_cast<int>(rng.Below(3)), &rng);
        builder.Tokens(kModel, domain, phase, ids);
        std::vector<uint64_t>& sums = wanted[{domain, phase}];
        sums.resize(1 + kModel.moe_layers * kModel.experts);
        sums[0] += ids.size() / (kModel.moe_layers * kModel.top_k);
        for (size_t at = 0; at < ids.size(); ++at) {
          ++sums[1 + at / kModel.top_k % kModel.moe_layers * kModel.experts + ids[at]];
        }
      }
      ASSERT_THAT(session.Record(builder.step()), IsOk());
    }
  }

  // One stream's life: messages flow, acknowledgements may be lost, then it breaks.
  void Stream(int rounds, bool faults) {
    ASSERT_THAT(session.OnHelloAck(daemon.OnHello(session.Hello(), 1 + rng.Below(4))), IsOk());
    for (int i = 0; i < rounds; ++i) {
      if (faults) {
        RecordSome();
      }
      now += absl::Milliseconds(faults ? rng.Below(30) : 200);
      while (auto message = session.Next(now)) {
        if (auto* window = std::get_if<WindowReplay>(&*message)) {
          daemon.OnWindow(*window);
          continue;
        }
        const Frame& frame = std::get<Frame>(*message);
        if (faults && rng.Below(10) == 0) {
          session.OnStreamEnd();  // the frame is lost with the stream
          return;
        }
        FrameAck ack;
        ack.want_key_frame = daemon.OnFrame(frame);
        ack.acked_seq = daemon.high();
        ack.credits = 1 + rng.Below(4);
        if (!faults || rng.Below(3) != 0) {
          session.OnFrameAck(ack);
        }
        now += absl::Milliseconds(faults ? rng.Below(10) : 100);
        if (!faults && session.idle()) {
          break;
        }
      }
    }
    session.OnStreamEnd();
  }

  Rng rng;
  ReportSession session;
  SlowDaemon daemon;
  Totals wanted;
  uint64_t step = 0, revision = 0;
  absl::Time now = absl::UnixEpoch();
};

TEST(ReportSessionTest, EveryTokenIsCountedOnceWhateverIsLost) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    ASSERT_THAT(world.session.OnHelloAck(Ack()), IsOk());  // the model is known from here on
    world.session.OnStreamEnd();
    for (int life = 0; life < 12; ++life) {
      world.RecordSome();  // while there is no stream
      world.Stream(static_cast<int>(world.rng.Below(20)), true);
      if (world.rng.Below(4) == 0) {
        world.daemon
            .Forget();  // restarted: windows bring everything back, the buckets hold it all here
      }
    }
    world.Stream(8, false);
    EXPECT_TRUE(world.session.idle());
    EXPECT_EQ(WithoutZeros(world.daemon.totals()), world.wanted);
    EXPECT_EQ(world.session.lost_steps(), 0u);
  }
}

TEST(ReportSessionTest, WithoutCreditsStepsMergeIntoOneFrame) {
  ReportSession session = NewSession();
  ASSERT_THAT(session.OnHelloAck(Ack(0, 0)), IsOk());
  Rng rng(1);
  for (int i = 1; i <= 500; ++i) {
    StepBuilder builder(i);
    builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 1, &rng));
    ASSERT_THAT(session.Record(builder.step()), IsOk());
    EXPECT_FALSE(session.Next(absl::UnixEpoch() + absl::Seconds(i)));
  }
  FrameAck ack;
  ack.credits = 2;
  session.OnFrameAck(ack);
  const auto message = session.Next(absl::UnixEpoch() + absl::Seconds(600));
  ASSERT_TRUE(message);
  const Frame& frame = std::get<Frame>(*message);
  EXPECT_EQ(frame.steps, 500u);
  EXPECT_EQ(frame.last_step, 500u);
  EXPECT_EQ(frame.seq_first, 1u);
  EXPECT_EQ(frame.blocks[0].tokens, 500u);
}

TEST(ReportSessionTest, AFrameHasOnePlacementAndWaitingFramesAreBounded) {
  ReportSession session = NewSession();
  ASSERT_THAT(session.OnHelloAck(Ack(0, 0)), IsOk());
  Rng rng(1);
  for (uint64_t i = 1; i <= 100; ++i) {
    StepBuilder builder(i, {1, i});
    builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 1, &rng));
    ASSERT_THAT(session.Record(builder.step()), IsOk());
  }
  FrameAck ack;
  ack.credits = 1000;
  session.OnFrameAck(ack);
  uint64_t next_seq = 1, tokens = 0;
  int frames = 0;
  absl::Time now = absl::UnixEpoch();
  while (tokens < 100) {
    now += absl::Milliseconds(10);
    const auto message = session.Next(now);
    ASSERT_TRUE(message);
    const Frame& frame = std::get<Frame>(*message);
    EXPECT_EQ(frame.seq_first, next_seq);
    next_seq = frame.seq_last + 1;
    tokens += frame.blocks[0].tokens;
    // Two placements in one frame: their visits are left out rather than booked under one of them.
    EXPECT_EQ(frame.blocks[0].visit_tokens,
              frame.steps == 1 && frame.applied == Position{} ? 1 : 0);
    ++frames;
  }
  EXPECT_LE(frames, 17);
  EXPECT_EQ(next_seq, 101u);
}

// Records a step of one token and takes the frame that tells of it.
Frame NextFrame(uint64_t number, ReportSession* session) {
  Rng rng(number);
  StepBuilder builder(number);
  builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 1, &rng));
  EXPECT_THAT(session->Record(builder.step()), IsOk());
  return std::get<Frame>(*session->Next(absl::UnixEpoch() + absl::Seconds(number)));
}

TEST(ReportSessionTest, KeyFramesComeUnaskedAndHealWhatWasLost) {
  ReportSession session = NewSession();
  SlowDaemon daemon;
  HelloAck ack = daemon.OnHello(session.Hello(), 100);
  ack.key_frame_every = 4;
  ASSERT_THAT(session.OnHelloAck(ack), IsOk());
  daemon.OnWindow(std::get<WindowReplay>(*session.Next(absl::UnixEpoch())));
  std::vector<uint64_t> key_frames;
  for (uint64_t i = 1; i <= 12; ++i) {
    const Frame frame = NextFrame(i, &session);
    if (frame.key_frame) {
      key_frames.push_back(i);
      EXPECT_EQ(frame.steps, i);
    }
    if (i != 6) {  // lost; and that the daemon would like a key frame is lost too
      daemon.OnFrame(frame);
    }
  }
  EXPECT_THAT(key_frames, ::testing::ElementsAre(4, 8, 12));
  EXPECT_EQ(daemon.totals().at({"a", Phase::kDecode})[0], 12u);
}

TEST(ReportSessionTest, SumsThatDoNotFitAMessageAreNotSentButCountedAnew) {
  ReportSession session = NewSession();
  HelloAck ack = Ack(0, 100);
  ack.key_frame_every = 2;
  ack.max_frame_bytes = 100;  // sums of 2 layers of 8 experts take 128 and the block's head
  ASSERT_THAT(session.OnHelloAck(ack), IsOk());
  for (uint64_t i = 1; i <= 5; ++i) {
    EXPECT_FALSE(NextFrame(i, &session).key_frame);
  }
  const Incarnation before = session.Hello().incarnation;
  FrameAck asks;
  asks.acked_seq = 5;
  asks.credits = 100;
  asks.want_key_frame = true;
  session.OnFrameAck(asks);
  const auto message = session.Next(absl::UnixEpoch() + absl::Seconds(9));
  ASSERT_TRUE(message.has_value());
  EXPECT_TRUE(std::holds_alternative<ReportSession::Restart>(*message));
  EXPECT_NE(session.Hello().incarnation, before);
}

TEST(ReportSessionTest, EmptyFramesShowLifeAtTheLongInterval) {
  ReportSession session = NewSession();
  ASSERT_THAT(session.OnHelloAck(Ack()), IsOk());
  const absl::Time start = absl::UnixEpoch();
  ASSERT_TRUE(session.Next(start));  // the first says hello at once
  EXPECT_EQ(session.NextTime(), start + absl::Milliseconds(100));
  EXPECT_FALSE(session.Next(start + absl::Milliseconds(99)));
  EXPECT_TRUE(session.Next(start + absl::Milliseconds(100)));
  Rng rng(1);
  StepBuilder builder(1);
  builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 1, &rng));
  ASSERT_THAT(session.Record(builder.step()), IsOk());
  EXPECT_EQ(session.NextTime(), start + absl::Milliseconds(110));
  EXPECT_FALSE(session.Next(start + absl::Milliseconds(109)));
  EXPECT_TRUE(session.Next(start + absl::Milliseconds(110)));
}

TEST(ReportSessionTest, StepsBeforeTheModelIsKnownAreLostAndCounted) {
  ReportSession session = NewSession();
  Rng rng(1);
  StepBuilder builder(1);
  builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 1, &rng)).Merged(3);
  EXPECT_THAT(session.Record(builder.step()), IsOk());
  EXPECT_EQ(session.lost_steps(), 3u);
  session.SetLostSteps(77, 5, 0);
  session.SetLostSteps(77, 5, 5);
  session.SetLostSteps(78, 2, 0);
  session.SetLostSteps(77, 4, 5);  // never falls
  EXPECT_EQ(session.lost_steps(), 10u);
  ASSERT_THAT(session.OnHelloAck(Ack()), IsOk());
  EXPECT_EQ(std::get<Frame>(*session.Next(absl::UnixEpoch())).lost_steps, 10u);
}

TEST(ReportSessionTest, WhatAnEarlierAgentStatedAsLostIsNotStatedAgain) {
  ReportSession session = NewSession();
  session.SetLostSteps(77, 8, 5);
  EXPECT_EQ(session.lost_steps(), 3u);
  session.SetLostSteps(77, 9, 8);
  EXPECT_EQ(session.lost_steps(), 4u);
  session.SetLostSteps(78, 2, 100);  // cannot be: no more was lost
  EXPECT_EQ(session.lost_steps(), 4u);
}

TEST(ReportSessionTest, AnotherModelStartsANewIncarnation) {
  ReportSession session = NewSession();
  ASSERT_THAT(session.OnHelloAck(Ack()), IsOk());
  Rng rng(1);
  StepBuilder builder(1);
  builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 1, &rng));
  ASSERT_THAT(session.Record(builder.step()), IsOk());
  const Incarnation before = session.Hello().incarnation;
  HelloAck other = Ack();
  other.model = SmallModel(3, 8, 2);
  EXPECT_THAT(session.OnHelloAck(other), StatusIs(absl::StatusCode::kAborted, HasSubstr("model")));
  EXPECT_NE(session.Hello().incarnation, before);
  EXPECT_EQ(session.Hello().next_seq, 1u);
  EXPECT_EQ(session.lost_steps(), 1u);
}

TEST(ReportSessionTest, ANodeThatIsNotInTheTopologyIsNamed) {
  ReportSession session({"chat", "x", "node-9"}, Incarnations());
  EXPECT_THAT(session.OnHelloAck(Ack()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("node \"node-9\"")));
}

TEST(ReportSessionTest, WindowsFitTheMessageLimitNewestFirst) {
  ReportSession session = NewSession();
  ASSERT_THAT(session.OnHelloAck(Ack(0, 100)), IsOk());
  Rng rng(1);
  absl::Time now = absl::UnixEpoch();
  for (int i = 1; i <= 200; ++i) {
    StepBuilder builder(i);
    builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 20, &rng));
    ASSERT_THAT(session.Record(builder.step()), IsOk());
    now += absl::Milliseconds(10);
    ASSERT_TRUE(session.Next(now));
    FrameAck ack;
    ack.acked_seq = i;
    ack.credits = 100;
    session.OnFrameAck(ack);
  }
  session.OnStreamEnd();
  HelloAck again = Ack();
  again.want_window = true;
  again.max_frame_bytes = 4000;
  ASSERT_THAT(session.OnHelloAck(again), IsOk());
  const auto message = session.Next(now);
  ASSERT_TRUE(message);
  const WindowReplay& window = std::get<WindowReplay>(*message);
  EXPECT_EQ(window.through_seq, 200u);
  size_t bytes = 0;
  for (const Frame& bucket : window.buckets) {
    bytes += EstimateBytes(bucket);
  }
  EXPECT_LE(bytes, 4000u);
  ASSERT_GT(window.buckets.size(), 5u);
  EXPECT_EQ(window.buckets.back().last_step, 200u);
}

TEST(MergeFramesTest, AddsCountsTokensAndSequences) {
  Rng rng(2);
  ReportSession session = NewSession();
  ASSERT_THAT(session.OnHelloAck(Ack()), IsOk());
  std::vector<Frame> frames;
  for (int i = 1; i <= 2; ++i) {
    StepBuilder builder(i);
    builder.Tokens(kModel, i == 1 ? "a" : "b", Phase::kDecode, RandomIds(kModel, 3, &rng))
        .Tokens(kModel, "c", Phase::kPrefill, RandomIds(kModel, 2, &rng));
    ASSERT_THAT(session.Record(builder.step()), IsOk());
    frames.push_back(std::get<Frame>(*session.Next(absl::UnixEpoch() + absl::Seconds(i))));
  }
  const Frame merged = MergeFrames(frames[0], frames[1], kModel);
  EXPECT_EQ(merged.seq_first, 1u);
  EXPECT_EQ(merged.seq_last, 2u);
  EXPECT_EQ(merged.steps, 2u);
  ASSERT_EQ(merged.blocks.size(), 3u);
  Totals sum, got;
  AddBlocks(frames[0], 1, &sum);
  AddBlocks(frames[1], 1, &sum);
  AddBlocks(merged, 1, &got);
  EXPECT_EQ(got, sum);
  EXPECT_EQ(merged.blocks[1].visit_tokens, 4u);
  EXPECT_EQ(merged.samples.size(), frames[0].samples.size() + frames[1].samples.size());
}

}  // namespace
}  // namespace advisor::client
