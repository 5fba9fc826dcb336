#include "server/services/plan_service.h"

#include <memory>
#include <string>
#include <vector>

#include "advisor/v1/plan.grpc.pb.h"
#include "gtest/gtest.h"
#include "proto/convert/plan.h"
#include "tests/server/support/scripted_machine.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::shared_ptr<const Plan> ThePlan() {
  static const auto plan = std::make_shared<const Plan>(testing::SamplePlan(7));
  return plan;
}

// Sends every subscriber the plan; ends one that acknowledges a position never sent.
Effects React(const Event& event) {
  if (const auto* opened = std::get_if<event::SubscriberOpened>(&event)) {
    return {effect::SendSubscriber{opened->stream,
                                   PlacementUpdate{ThePlan(), nullptr, PlacementMode::kAdvisory}},
            effect::SendSubscriber{opened->stream, GroupingUpdate{ThePlan(), {1, 7}, {1, 7}}}};
  }
  if (const auto* acked = std::get_if<event::SubscriberAcked>(&event)) {
    if (acked->ack.position != ThePlan()->position) {
      return {effect::EndStream{acked->stream, absl::InvalidArgumentError("never sent")}};
    }
    return {effect::SendSubscriber{acked->stream, RolloutDecision{{1, 7}, true, "all staged"}}};
  }
  return {};
}

v1::SubscribeRequest SomeHello(const std::string& id = "router-0") {
  SubscriberHello hello;
  hello.deployment = "chat";
  hello.subscriber_id = id;
  hello.incarnation = {1, 2};
  v1::SubscribeRequest request;
  *request.mutable_hello() = ToProto(hello);
  return request;
}

v1::SubscribeRequest AckOf(Position position) {
  PlanAck ack;
  ack.position = position;
  v1::SubscribeRequest request;
  *request.mutable_ack() = ToProto(ack);
  return request;
}

class PlanServiceTest : public testing::ServerFixture {
 protected:
  ~PlanServiceTest() override { server_.reset(); }  // before the machine
  void SetUp() override {
    Start(Options(machine_.machine(), {testing::SampleDeployment()}));
    stub_ = v1::PlanService::NewStub(channel_);
  }
  grpc::Status EndOf(const std::vector<v1::SubscribeRequest>& requests) {
    const auto context = Context();
    const auto stream = stub_->Subscribe(context.get());
    for (const v1::SubscribeRequest& request : requests) {
      stream->Write(request);
    }
    v1::SubscribeResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  }

  testing::ScriptedMachine machine_{React};
  std::unique_ptr<v1::PlanService::Stub> stub_;
};

TEST_F(PlanServiceTest, ASubscriberGetsPlansAndAcknowledges) {
  const auto context = Context();
  const auto stream = stub_->Subscribe(context.get());
  ASSERT_TRUE(stream->Write(SomeHello()));
  const auto opened = machine_.Take<event::SubscriberOpened>();
  EXPECT_EQ(opened.hello.subscriber_id, "router-0");
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_OK_AND_ASSIGN(const DecodedPlacement placement, FromProto(response.placement(), nullptr));
  EXPECT_EQ(placement.plan.placement, ThePlan()->placement);
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_OK_AND_ASSIGN(const DecodedGrouping grouping, FromProto(response.grouping()));
  EXPECT_EQ(GroupingHash(grouping.grouping), GroupingHash(ThePlan()->grouping));
  ASSERT_TRUE(stream->Write(AckOf({1, 7})));
  EXPECT_EQ(machine_.Take<event::SubscriberAcked>().stream, opened.stream);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.decision().kind(), v1::Decision::KIND_COMMIT);
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(machine_.Take<event::SubscriberClosed>().stream, opened.stream);
}

TEST_F(PlanServiceTest, AVanishedSubscriberIsClosed) {
  const auto context = Context();
  const auto stream = stub_->Subscribe(context.get());
  ASSERT_TRUE(stream->Write(SomeHello()));
  const auto opened = machine_.Take<event::SubscriberOpened>();
  context->TryCancel();
  EXPECT_EQ(machine_.Take<event::SubscriberClosed>().stream, opened.stream);
}

TEST_F(PlanServiceTest, MalformedStreamsEndWithAReason) {
  const auto invalid = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_THAT(EndOf({AckOf({1, 7})}), GrpcStatusIs(invalid, HasSubstr("must be a SubscribeHello")));
  EXPECT_THAT(EndOf({v1::SubscribeRequest()}), GrpcStatusIs(invalid, HasSubstr("empty")));
  EXPECT_THAT(EndOf({SomeHello("Upper")}), GrpcStatusIs(invalid, HasSubstr("subscriber_id")));
  EXPECT_THAT(EndOf({SomeHello(), SomeHello()}), GrpcStatusIs(invalid, HasSubstr("second hello")));
  EXPECT_THAT(EndOf({SomeHello(), AckOf({9, 9})}), GrpcStatusIs(invalid, HasSubstr("never sent")));
}

TEST_F(PlanServiceTest, BytesThatAreNoMessageEndTheStream) {
  // The same path, written as another message: a string where a hello is expected.
  v1::SubscribeRequest request;
  request.GetReflection()->MutableUnknownFields(&request)->AddVarint(1, 7);  // field 1, wrong type
  EXPECT_THAT(EndOf({request}), GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("")));
}

TEST_F(PlanServiceTest, DrainEndsStreamsWithUnavailable) {
  const auto context = Context();
  const auto stream = stub_->Subscribe(context.get());
  ASSERT_TRUE(stream->Write(SomeHello()));
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Drain();
  while (stream->Read(&response)) {
  }
  EXPECT_THAT(stream->Finish(),
              GrpcStatusIs(grpc::StatusCode::UNAVAILABLE, StartsWith("DRAINING: ")));
}

TEST_F(PlanServiceTest, StreamsAreLimited) {
  server_.reset();
  ServerOptions options = Options(machine_.machine(), {testing::SampleDeployment()});
  options.config.max_streams = 1;
  Start(std::move(options));
  stub_ = v1::PlanService::NewStub(channel_);
  const auto context = Context();
  const auto stream = stub_->Subscribe(context.get());
  ASSERT_TRUE(stream->Write(SomeHello()));
  v1::SubscribeResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_THAT(EndOf({SomeHello("other")}),
              GrpcStatusIs(grpc::StatusCode::RESOURCE_EXHAUSTED, StartsWith("TOO_MANY_STREAMS")));
}

}  // namespace
}  // namespace advisor::server
