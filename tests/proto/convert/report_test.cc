#include "proto/convert/report.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"
#include "proto/convert/limits.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::StartsWith;
using testing::StatusIs;

ReporterHello SomeHello() {
  return {"chat",        "agent-0",    {0x0102030405060708, 0x090a0b0c0d0e0f10}, 77, "node-0", 5,
          {true, false}, {false, true}};
}

Frame SomeFrame() {
  Frame frame;
  frame.seq_first = 3;
  frame.seq_last = 4;
  frame.steps = 20;
  frame.last_step = 99;
  frame.lost_steps = 1;
  frame.applied = {2, 7};
  frame.applied_hash = 0xdead;
  frame.blocks.push_back({"law", Phase::kPrefill, 12, {2, true, "bytes"}, 4, 9, 11.5});
  frame.samples.push_back({42, "law", Phase::kDecode, 6, "experts"});
  frame.key_frame = true;
  frame.key_base_seq = 2;
  return frame;
}

void ExpectSome(const Frame& frame) {
  EXPECT_EQ(frame.seq_first, 3u);
  EXPECT_EQ(frame.seq_last, 4u);
  EXPECT_EQ(frame.steps, 20u);
  EXPECT_EQ(frame.last_step, 99u);
  EXPECT_EQ(frame.lost_steps, 1u);
  EXPECT_EQ(frame.applied, (Position{2, 7}));
  EXPECT_EQ(frame.applied_hash, 0xdeadu);
  ASSERT_EQ(frame.blocks.size(), 1u);
  const ReportBlock& block = frame.blocks[0];
  EXPECT_EQ(block.domain, "law");
  EXPECT_EQ(block.phase, Phase::kPrefill);
  EXPECT_EQ(block.tokens, 12u);
  EXPECT_EQ(block.counts.width, 2);
  EXPECT_TRUE(block.counts.sparse);
  EXPECT_EQ(block.counts.data, "bytes");
  EXPECT_EQ(block.visit_tokens, 4u);
  EXPECT_EQ(block.remote_visits, 9u);
  EXPECT_EQ(block.baseline_remote_visits, 11.5);
  ASSERT_EQ(frame.samples.size(), 1u);
  EXPECT_EQ(frame.samples[0].request_key, 42u);
  EXPECT_EQ(frame.samples[0].domain, "law");
  EXPECT_EQ(frame.samples[0].phase, Phase::kDecode);
  EXPECT_EQ(frame.samples[0].first_token, 6u);
  EXPECT_EQ(frame.samples[0].experts, "experts");
  EXPECT_TRUE(frame.key_frame);
  EXPECT_EQ(frame.key_base_seq, 2u);
}

TEST(HelloConvertTest, EveryFieldReturns) {
  ASSERT_OK_AND_ASSIGN(const ReporterHello hello, FromProto(ToProto(SomeHello())));
  EXPECT_EQ(hello.deployment, "chat");
  EXPECT_EQ(hello.reporter_id, "agent-0");
  EXPECT_EQ(hello.incarnation, SomeHello().incarnation);
  EXPECT_EQ(hello.model_fingerprint, 77u);
  EXPECT_EQ(hello.node, "node-0");
  EXPECT_EQ(hello.next_seq, 5u);
  EXPECT_EQ(hello.features, (Features{true, false}));
  EXPECT_EQ(hello.required, (Features{false, true}));
}

TEST(HelloConvertTest, RefusesBadIdentity) {
  const auto error = [](auto change) {
    v1::Hello hello = ToProto(SomeHello());
    change(hello);
    return FromProto(hello).status();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(error([](v1::Hello& h) { h.set_deployment("Chat"); }),
              StatusIs(invalid, HasSubstr("hello.deployment")));
  EXPECT_THAT(error([](v1::Hello& h) { h.set_reporter_id(""); }),
              StatusIs(invalid, HasSubstr("hello.reporter_id")));
  EXPECT_THAT(error([](v1::Hello& h) { h.set_incarnation("short"); }),
              StatusIs(invalid, HasSubstr("incarnation has 5 bytes, must be 16")));
  EXPECT_THAT(error([](v1::Hello& h) { h.set_node(std::string(200, 'n')); }),
              StatusIs(invalid, HasSubstr("hello.node has 200 bytes")));
  EXPECT_THAT(error([](v1::Hello& h) { h.set_next_seq(0); }),
              StatusIs(invalid, HasSubstr("next_seq")));
  EXPECT_THAT(error([](v1::Hello& h) {
                h.set_protocol_min(2);
                h.set_protocol_max(4);
              }),
              StatusIs(absl::StatusCode::kFailedPrecondition, StartsWith("PROTOCOL_MISMATCH: ")));
  EXPECT_THAT(error([](v1::Hello& h) { h.set_protocol_max(7); }), IsOk());
  EXPECT_THAT(error([](v1::Hello& h) { h.add_features("telepathy"); }), IsOk());
  EXPECT_THAT(error([](v1::Hello& h) { h.add_required_features("telepathy"); }),
              StatusIs(absl::StatusCode::kFailedPrecondition, StartsWith("FEATURE_MISSING: ")));
}

TEST(FrameConvertTest, EveryFieldReturns) {
  ASSERT_OK_AND_ASSIGN(const Frame frame, FromProto(ToProto(SomeFrame())));
  ExpectSome(frame);
}

TEST(FrameConvertTest, RefusesWhatCannotBeAFrame) {
  const auto error = [](auto change) {
    v1::Frame frame = ToProto(SomeFrame());
    change(frame);
    return FromProto(std::move(frame)).status();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(error([](v1::Frame& f) { f.mutable_blocks(0)->set_phase(v1::PHASE_UNSPECIFIED); }),
              StatusIs(invalid, HasSubstr("phase is 0")));
  EXPECT_THAT(
      error([](v1::Frame& f) {
        f.mutable_blocks(0)->set_baseline_remote_visits(std::numeric_limits<double>::quiet_NaN());
      }),
      StatusIs(invalid, HasSubstr("baseline_remote_visits")));
  EXPECT_THAT(error([](v1::Frame& f) {
                for (size_t i = 0; i < kMaxBlocks; ++i) {
                  *f.add_blocks() = v1::Block(f.blocks(0));
                }
              }),
              StatusIs(invalid, HasSubstr("frame.blocks has 129 entries, limit is 128")));
  EXPECT_THAT(error([](v1::Frame& f) { f.mutable_samples(0)->set_phase(v1::PHASE_UNSPECIFIED); }),
              StatusIs(invalid, HasSubstr("phase is 0")));
}

TEST(FrameConvertTest, LeavesBadCountsForTheOneWhoKnowsTheModel) {
  v1::Frame frame = ToProto(SomeFrame());
  frame.mutable_blocks(0)->mutable_counts()->set_width(4'000'000'000u);
  EXPECT_THAT(FromProto(std::move(frame)), IsOk());
}

TEST(WindowConvertTest, EveryBucketReturns) {
  WindowReplay window;
  window.through_seq = 9;
  window.buckets.assign(2, SomeFrame());
  ASSERT_OK_AND_ASSIGN(const WindowReplay back, FromProto(ToProto(window)));
  EXPECT_EQ(back.through_seq, 9u);
  ASSERT_EQ(back.buckets.size(), 2u);
  ExpectSome(back.buckets[1]);
}

TEST(HelloAckConvertTest, EveryFieldReturns) {
  HelloAck ack;
  ack.session_id = 1;
  ack.epoch = 2;
  ack.model = testing::SmallModel(2, 8, 2);
  ack.topology = *Topology::Uniform(2, 1, 4);
  ack.resume_after_seq = 3;
  ack.want_key_frame = true;
  ack.want_window = true;
  ack.min_interval_ms = 4;
  ack.max_interval_ms = 5;
  ack.credits = 6;
  ack.max_frame_bytes = 7;
  ack.sample_tokens = 8;
  ack.window_buckets = 9;
  ack.bucket_tokens = 10;
  ack.bucket_steps = 11;
  ack.key_frame_every = 12;
  ack.features = {true, false};
  ASSERT_OK_AND_ASSIGN(const HelloAck back, FromProto(ToProto(ack)));
  EXPECT_EQ(back.session_id, 1u);
  EXPECT_EQ(back.epoch, 2u);
  EXPECT_EQ(back.model, ack.model);
  EXPECT_EQ(back.topology, ack.topology);
  EXPECT_EQ(back.resume_after_seq, 3u);
  EXPECT_TRUE(back.want_key_frame);
  EXPECT_TRUE(back.want_window);
  EXPECT_EQ(back.min_interval_ms, 4u);
  EXPECT_EQ(back.max_interval_ms, 5u);
  EXPECT_EQ(back.credits, 6u);
  EXPECT_EQ(back.max_frame_bytes, 7u);
  EXPECT_EQ(back.key_frame_every, 12u);
  EXPECT_EQ(back.sample_tokens, 8u);
  EXPECT_EQ(back.window_buckets, 9u);
  EXPECT_EQ(back.bucket_tokens, 10u);
  EXPECT_EQ(back.bucket_steps, 11u);
  EXPECT_EQ(back.features, ack.features);
}

TEST(FrameAckConvertTest, CarriesAtMostSixteenRejects) {
  FrameAck ack;
  ack.acked_seq = 8;
  ack.credits = 3;
  ack.want_key_frame = true;
  ack.rejected_blocks = 40;
  ack.rejects.assign(
      40, {8, "law", Phase::kDecode, 2, RejectReason::kSumLaw, std::string(1000, 'x'), 12});
  ASSERT_OK_AND_ASSIGN(const FrameAck back, FromProto(ToProto(ack)));
  EXPECT_EQ(back.acked_seq, 8u);
  EXPECT_EQ(back.credits, 3u);
  EXPECT_TRUE(back.want_key_frame);
  EXPECT_EQ(back.rejected_blocks, 40u);
  ASSERT_EQ(back.rejects.size(), 16u);
  EXPECT_EQ(back.rejects[15].seq, 8u);
  EXPECT_EQ(back.rejects[15].domain, "law");
  EXPECT_EQ(back.rejects[15].layer, 2u);
  EXPECT_EQ(back.rejects[15].reason, RejectReason::kSumLaw);
  EXPECT_EQ(back.rejects[15].message.size(), kMaxErrorBytes);
  EXPECT_EQ(back.rejects[15].tokens, 12u);
}

TEST(IncarnationTest, BytesAreBigEndian) {
  EXPECT_EQ(ToBytes({0x0102030405060708, 0x090a0b0c0d0e0f10}),
            "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
}

}  // namespace
}  // namespace advisor
