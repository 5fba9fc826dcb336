#include "client/agent/streams.h"

#include <atomic>
#include <thread>

#include "proto/convert/counts.h"
#include "proto/convert/plan.h"
#include "proto/convert/report.h"
#include "tests/client/agent/fake_daemon.h"
#include "tests/client/agent/steps.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::RandomPlacement;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using testing::Box;
using testing::FakeDaemon;
using ::testing::HasSubstr;
using testing::IgnorePlans;
using testing::IgnoreReports;
using testing::PlanServerStream;
using testing::RandomIds;
using testing::ReportServerStream;
using testing::StepBuilder;

const ModelSpec kModel = SmallModel(2, 8, 2);

v1::ReportResponse Welcome(uint64_t resume_after, bool want_key = false) {
  HelloAck ack;
  ack.model = kModel;
  ack.topology = *Topology::Uniform(2, 1, 4);
  ack.credits = 4;
  ack.min_interval_ms = 1;
  ack.max_interval_ms = 60'000;
  ack.resume_after_seq = resume_after;
  ack.want_key_frame = want_key;
  v1::ReportResponse response;
  *response.mutable_hello_ack() = ToProto(ack);
  return response;
}

v1::ReportResponse Acked(uint64_t seq, bool want_key = false) {
  FrameAck ack;
  ack.acked_seq = seq;
  ack.credits = 4;
  ack.want_key_frame = want_key;
  v1::ReportResponse response;
  *response.mutable_frame_ack() = ToProto(ack);
  return response;
}

// The next frame that counts something.
v1::Frame ReadFrame(ReportServerStream* stream) {
  v1::ReportRequest request;
  while (stream->Read(&request)) {
    if (request.has_frame() && request.frame().steps() > 0) {
      return request.frame();
    }
  }
  return {};
}

PlanSessionOptions Options(bool wait) {
  PlanSessionOptions options;
  options.deployment = "chat";
  options.subscriber_id = options.node = "node-0";
  options.wait_for_engines = wait;
  return options;
}

// A hub with both streams to a scripted daemon.
struct Agent {
  Agent(FakeDaemon::ReportScript reports, FakeDaemon::PlanScript plans, bool wait = true,
        absl::Duration progress_timeout = absl::Seconds(60))
      : daemon(std::move(reports), std::move(plans)),
        hub(
            {"chat", "node-0", "node-0"}, Options(wait),
            [] {
              return Incarnation{1, 2};
            },
            [this](const Plan& in_force) {
              stored.Put(in_force.position.revision);
              return absl::OkStatus();
            }) {
    StreamOptions fast;
    fast.reconnect_min = fast.reconnect_max = absl::Milliseconds(1);
    const auto channel = daemon.Channel();
    report = std::make_unique<ReconnectingStream>(
        "report", &hub, fast, [=, this] { return RunReportStream(channel, &hub); });
    plan = std::make_unique<ReconnectingStream>(
        "plan", &hub, fast, [=, this] { return RunPlanStream(channel, &hub, progress_timeout); });
  }
  ~Agent() {
    hub.Stop();
    report.reset();
    plan.reset();
  }
  void WaitReporting() {
    while (!hub.Status().reporting) {
      std::this_thread::yield();
    }
  }
  void Record(uint64_t number) {
    Rng rng(number);
    StepBuilder builder(number);
    builder.Tokens(kModel, "a", Phase::kDecode, RandomIds(kModel, 3, &rng));
    ASSERT_THAT(hub.Record(builder.step()), IsOk());
  }

  FakeDaemon daemon;
  Box<uint64_t> stored;
  Hub hub;
  std::unique_ptr<ReconnectingStream> report, plan;
};

TEST(ReportStreamTest, ResumesAfterALostAcknowledgement) {
  Box<v1::Frame> frames;
  std::atomic<uint64_t> applied = 0;
  Agent agent(
      [&](int n, ReportServerStream* stream) -> grpc::Status {
        v1::ReportRequest hello;
        stream->Read(&hello);
        // The first stream applies a frame and dies before it says so; the second knows.
        stream->Write(Welcome(applied));
        const v1::Frame frame = ReadFrame(stream);
        applied = frame.seq_last();
        frames.Put(frame);
        if (n == 1) {
          return {grpc::StatusCode::UNAVAILABLE, "cut"};
        }
        stream->Write(Acked(frame.seq_last()));
        return IgnoreReports(n, stream);
      },
      IgnorePlans);
  agent.WaitReporting();
  agent.Record(1);
  const v1::Frame first = frames.Take();
  EXPECT_EQ(first.steps(), 1u);
  agent.Record(2);
  const v1::Frame second = frames.Take();
  EXPECT_EQ(second.seq_first(), first.seq_last() + 1);
  EXPECT_EQ(second.steps(), 1u);
  EXPECT_EQ(second.blocks(0).tokens(), 3u);  // not the first again
}

TEST(ReportStreamTest, SendsAgainWhatWasNotApplied) {
  Box<v1::Frame> frames;
  std::atomic<uint64_t> before = 0;
  Agent agent(
      [&](int n, ReportServerStream* stream) -> grpc::Status {
        v1::ReportRequest hello;
        stream->Read(&hello);
        stream->Write(Welcome(before));
        const v1::Frame frame = ReadFrame(stream);
        before = frame.seq_first() - 1;  // empty frames before it are applied
        frames.Put(frame);
        return n == 1 ? grpc::Status(grpc::StatusCode::ABORTED, "SUPERSEDED: by the test")
                      : IgnoreReports(n, stream);
      },
      IgnorePlans);
  agent.WaitReporting();
  agent.Record(1);
  const v1::Frame first = frames.Take(), second = frames.Take();
  EXPECT_EQ(second.seq_first(), first.seq_first());
  EXPECT_EQ(second.seq_last(), first.seq_last());
  ASSERT_EQ(second.blocks_size(), 1);
  EXPECT_EQ(second.blocks(0).counts().data(), first.blocks(0).counts().data());
}

TEST(ReportStreamTest, AnswersForAKeyFrameAndAWindow) {
  Box<v1::Frame> frames;
  Box<v1::Window> windows;
  Agent agent(
      [&](int n, ReportServerStream* stream) -> grpc::Status {
        v1::ReportRequest request;
        stream->Read(&request);
        if (n == 1) {
          stream->Write(Welcome(0));
          frames.Put(ReadFrame(stream));
          stream->Write(Acked(0, /*want_key=*/true));
          frames.Put(ReadFrame(stream));
          return {grpc::StatusCode::UNAVAILABLE, "restart"};
        }
        v1::ReportResponse welcome = Welcome(0);
        welcome.mutable_hello_ack()->set_want_window(true);
        stream->Write(welcome);
        stream->Read(&request);
        windows.Put(request.window());
        return IgnoreReports(n, stream);
      },
      IgnorePlans);
  agent.WaitReporting();
  agent.Record(1);
  EXPECT_FALSE(frames.Take().key_frame());
  const v1::Frame key = frames.Take();
  EXPECT_TRUE(key.key_frame());
  EXPECT_EQ(key.seq_first(), 1u);
  EXPECT_EQ(key.blocks(0).tokens(), 3u);
  const v1::Window window = windows.Take();
  EXPECT_EQ(window.through_seq(), key.seq_last());
  ASSERT_EQ(window.buckets_size(), 1);
  EXPECT_EQ(window.buckets(0).blocks(0).tokens(), 3u);
}

v1::SubscribeResponse Placement(uint64_t revision, PlacementMode mode) {
  Rng rng(revision);
  auto plan = std::make_shared<Plan>();
  plan->model = kModel;
  plan->topology = *Topology::Uniform(2, 1, 4);
  plan->position = {1, revision};
  plan->placement = RandomPlacement(kModel, plan->topology, &rng);
  v1::SubscribeResponse response;
  *response.mutable_placement() = ToProto(PlacementUpdate{plan, nullptr, mode});
  return response;
}

v1::SubscribeResponse Decide(uint64_t revision, bool commit) {
  v1::SubscribeResponse response;
  *response.mutable_decision() = ToProto(RolloutDecision{{1, revision}, commit, ""});
  return response;
}

// The next acknowledgement, in short.
std::string ReadAck(PlanServerStream* stream) {
  v1::SubscribeRequest request;
  if (!stream->Read(&request) || !request.has_ack()) {
    return "end";
  }
  const v1::Ack& ack = request.ack();
  return v1::Ack::Phase_Name(ack.phase()) + " " + std::to_string(ack.position().revision()) +
         (ack.has_nack() ? " " + v1::Nack::Reason_Name(ack.nack().reason()) : "");
}

TEST(PlanStreamTest, StagesCommitsAndAppliesWithTheEngine) {
  Box<std::string> acks;
  Agent agent(IgnoreReports, [&](int, PlanServerStream* stream) {
    v1::SubscribeRequest hello;
    stream->Read(&hello);
    acks.Put(hello.hello().subscriber_id());
    stream->Write(Placement(1, PlacementMode::kPrepare));
    acks.Put(ReadAck(stream));
    acks.Put(ReadAck(stream));
    stream->Write(Decide(1, true));
    acks.Put(ReadAck(stream));
    return IgnorePlans(1, stream);
  });
  EXPECT_EQ(acks.Take(), "node-0");
  EXPECT_EQ(acks.Take(), "RECEIVED 1");
  PlanAck confirm;
  confirm.position = {1, 1};
  confirm.phase = AckPhase::kStaged;
  ASSERT_THAT(agent.hub.Confirm(confirm), IsOk());
  EXPECT_EQ(acks.Take(), "STAGED 1");
  EXPECT_EQ(agent.stored.Take(), 1u);
  confirm.phase = AckPhase::kApplied;
  ASSERT_THAT(agent.hub.Confirm(confirm), IsOk());
  EXPECT_EQ(acks.Take(), "APPLIED 1");
  EXPECT_EQ(agent.hub.Status().in_force, (Position{1, 1}));
}

TEST(PlanStreamTest, RefusesWhatTheHashDoesNotMatchAndKeepsTheOld) {
  Box<std::string> acks;
  Agent agent(
      IgnoreReports,
      [&](int, PlanServerStream* stream) {
        v1::SubscribeRequest hello;
        stream->Read(&hello);
        stream->Write(Placement(1, PlacementMode::kInForce));
        acks.Put(ReadAck(stream));
        acks.Put(ReadAck(stream));
        acks.Put(ReadAck(stream));
        v1::SubscribeResponse flipped = Placement(2, PlacementMode::kPrepare);
        flipped.mutable_placement()->set_content_hash(flipped.placement().content_hash() ^ 1);
        stream->Write(flipped);
        acks.Put(ReadAck(stream));
        stream->Write(Placement(2, PlacementMode::kPrepare));
        acks.Put(ReadAck(stream));
        return IgnorePlans(1, stream);
      },
      /*wait=*/false);
  EXPECT_EQ(acks.Take(), "RECEIVED 1");
  EXPECT_EQ(acks.Take(), "STAGED 1");
  EXPECT_EQ(acks.Take(), "APPLIED 1");
  EXPECT_EQ(acks.Take(), "NACK 2 REASON_HASH_MISMATCH");
  EXPECT_EQ(acks.Take(), "RECEIVED 2");
  EXPECT_EQ(agent.hub.Status().in_force, (Position{1, 1}));
}

TEST(PlanStreamTest, ASilentDaemonIsGivenUpAndFoundAgainWithThePositionHeld) {
  Box<std::pair<uint64_t, uint64_t>> held;
  Agent agent(
      IgnoreReports,
      [&](int n, PlanServerStream* stream) {
        v1::SubscribeRequest hello;
        stream->Read(&hello);
        held.Put({hello.hello().placement().revision(), hello.hello().placement_hash()});
        if (n == 1) {
          stream->Write(Placement(5, PlacementMode::kInForce));
        }
        return IgnorePlans(n, stream);  // and never a Progress
      },
      /*wait=*/false, absl::Milliseconds(50));
  EXPECT_EQ(held.Take().first, 0u);
  const auto again = held.Take();
  EXPECT_EQ(again.first, 5u);
  EXPECT_EQ(again.second, Placement(5, PlacementMode::kInForce).placement().content_hash());
}

}  // namespace
}  // namespace advisor::client
