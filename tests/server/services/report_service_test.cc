#include "server/services/report_service.h"

#include <memory>
#include <string>

#include "advisor/v1/report.grpc.pb.h"
#include "gtest/gtest.h"
#include "proto/convert/report.h"
#include "tests/server/support/scripted_machine.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

// Acknowledges hellos and frames; refuses reporter "stale".
Effects React(const Event& event) {
  if (const auto* opened = std::get_if<event::ReporterOpened>(&event)) {
    if (opened->hello.reporter_id == "stale") {
      return {effect::EndStream{opened->stream,
                                absl::AbortedError("STALE_INCARNATION: a newer one took over")}};
    }
    HelloAck ack;
    ack.epoch = 3;
    ack.model = testing::SampleDeployment().model;
    ack.topology = testing::SampleDeployment().topology;
    return {effect::SendReporter{opened->stream, ack}};
  }
  if (const auto* frame = std::get_if<event::ReporterFrame>(&event)) {
    FrameAck ack;
    ack.acked_seq = frame->frame.seq_last;
    return {effect::SendReporter{frame->stream, ack}};
  }
  return {};
}

v1::Hello SomeHello(const std::string& reporter = "agent-0") {
  return ToProto(ReporterHello{"chat", reporter, {1, 2}, 0, "node-0", 1});
}

v1::Frame SomeFrame(uint64_t seq) {
  Frame frame;
  frame.seq_first = frame.seq_last = seq;
  frame.blocks.push_back({"law", Phase::kDecode, 4, {1, false, std::string(24, '\1')}, 0, 0, 0});
  return ToProto(std::move(frame));
}

class ReportServiceTest : public testing::ServerFixture {
 protected:
  ~ReportServiceTest() override { server_.reset(); }  // before the machine
  void SetUp() override {
    Start(Options(machine_.machine(), {testing::SampleDeployment()}));
    stub_ = v1::ReportService::NewStub(channel_);
  }

  testing::ScriptedMachine machine_{React};
  std::unique_ptr<v1::ReportService::Stub> stub_;
};

TEST_F(ReportServiceTest, AStreamIsOpenedAcknowledgedAndClosed) {
  const auto context = Context();
  const auto stream = stub_->Report(context.get());
  v1::ReportRequest request;
  *request.mutable_hello() = SomeHello();
  ASSERT_TRUE(stream->Write(request));
  v1::ReportResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.hello_ack().epoch(), 3u);
  const auto opened = machine_.Take<event::ReporterOpened>();
  EXPECT_EQ(opened.hello.node, "node-0");

  *request.mutable_frame() = SomeFrame(1);
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.frame_ack().acked_seq(), 1u);
  const auto frame = machine_.Take<event::ReporterFrame>();
  EXPECT_EQ(frame.stream, opened.stream);
  EXPECT_EQ(frame.frame.blocks[0].counts.data.size(), 24u);

  request.mutable_window()->set_through_seq(9);
  ASSERT_TRUE(stream->Write(request));
  EXPECT_EQ(machine_.Take<event::ReporterWindow>().window.through_seq, 9u);

  stream->WritesDone();
  EXPECT_THAT(stream->Finish(), GrpcStatusIs(grpc::StatusCode::OK, ""));
  EXPECT_EQ(machine_.Take<event::ReporterClosed>().stream, opened.stream);
}

TEST_F(ReportServiceTest, MalformedStreamsEndWithAReason) {
  const auto end_of = [&](std::vector<v1::ReportRequest> requests) {
    const auto context = Context();
    const auto stream = stub_->Report(context.get());
    for (const v1::ReportRequest& request : requests) {
      stream->Write(request);
    }
    v1::ReportResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  };
  const auto invalid = grpc::StatusCode::INVALID_ARGUMENT;
  v1::ReportRequest hello, frame, bad_hello, bad_frame;
  *hello.mutable_hello() = SomeHello();
  *frame.mutable_frame() = SomeFrame(1);
  *bad_hello.mutable_hello() = SomeHello("Upper");
  *bad_frame.mutable_frame() = SomeFrame(1);
  bad_frame.mutable_frame()->mutable_blocks(0)->set_phase(v1::PHASE_UNSPECIFIED);
  EXPECT_THAT(end_of({frame}), GrpcStatusIs(invalid, HasSubstr("first message must be a Hello")));
  EXPECT_THAT(end_of({v1::ReportRequest()}), GrpcStatusIs(invalid, HasSubstr("empty")));
  EXPECT_THAT(end_of({bad_hello}), GrpcStatusIs(invalid, HasSubstr("hello.reporter_id")));
  EXPECT_THAT(end_of({hello, hello}), GrpcStatusIs(invalid, HasSubstr("second Hello")));
  EXPECT_THAT(end_of({hello, bad_frame}), GrpcStatusIs(invalid, HasSubstr("phase is 0")));
}

TEST_F(ReportServiceTest, TheEnginesRefusalReachesThePeer) {
  const auto context = Context();
  const auto stream = stub_->Report(context.get());
  v1::ReportRequest request;
  *request.mutable_hello() = SomeHello("stale");
  stream->Write(request);
  v1::ReportResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(stream->Finish(),
              GrpcStatusIs(grpc::StatusCode::ABORTED, StartsWith("STALE_INCARNATION: ")));
  machine_.Take<event::ReporterClosed>();
}

TEST_F(ReportServiceTest, AnOversizeMessageEndsOnlyItsStream) {
  const auto context = Context();
  const auto stream = stub_->Report(context.get());
  v1::ReportRequest request;
  *request.mutable_frame() = SomeFrame(1);
  request.mutable_frame()->mutable_blocks(0)->mutable_counts()->set_data(
      std::string(kMaxRequestBytes + 1, 'x'));
  stream->Write(request);
  v1::ReportResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_FALSE(stream->Finish().ok());
  v1::ReportOnceRequest once;
  *once.mutable_hello() = SomeHello();
  v1::ReportOnceResponse answer;
  EXPECT_TRUE(stub_->ReportOnce(Context().get(), once, &answer).ok());
}

TEST_F(ReportServiceTest, ReportOnceAnswersWhenTheLastFrameIsIn) {
  v1::ReportOnceRequest request;
  *request.mutable_hello() = SomeHello();
  *request.add_frames() = SomeFrame(1);
  *request.add_frames() = SomeFrame(2);
  v1::ReportOnceResponse response;
  ASSERT_TRUE(stub_->ReportOnce(Context().get(), request, &response).ok());
  EXPECT_EQ(response.hello_ack().epoch(), 3u);
  EXPECT_EQ(response.frame_ack().acked_seq(), 2u);
  machine_.Take<event::ReporterClosed>();
}

TEST_F(ReportServiceTest, ReportOnceRefusals) {
  v1::ReportOnceResponse response;
  v1::ReportOnceRequest request;
  const auto status = [&] { return stub_->ReportOnce(Context().get(), request, &response); };
  EXPECT_THAT(status(),
              GrpcStatusIs(grpc::StatusCode::FAILED_PRECONDITION, StartsWith("PROTOCOL_MISMATCH")));
  *request.mutable_hello() = SomeHello("stale");
  EXPECT_THAT(status(), GrpcStatusIs(grpc::StatusCode::ABORTED, StartsWith("STALE_INCARNATION: ")));
  *request.mutable_hello() = SomeHello();
  for (int i = 0; i < 65; ++i) {
    *request.add_frames() = SomeFrame(i + 1);
  }
  EXPECT_THAT(status(), GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("limit is 64")));
}

TEST_F(ReportServiceTest, DrainEndsStreamsWithUnavailable) {
  const auto context = Context();
  const auto stream = stub_->Report(context.get());
  v1::ReportRequest request;
  *request.mutable_hello() = SomeHello();
  stream->Write(request);
  v1::ReportResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Drain();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(stream->Finish(),
              GrpcStatusIs(grpc::StatusCode::UNAVAILABLE, StartsWith("DRAINING: ")));
}

}  // namespace
}  // namespace advisor::server
