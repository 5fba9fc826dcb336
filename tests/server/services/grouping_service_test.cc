#include "server/services/grouping_service.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/grouping.grpc.pb.h"
#include "gtest/gtest.h"
#include "proto/convert/little_endian.h"
#include "tests/server/support/scripted_machine.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;

class GroupingServiceTest : public testing::ServerFixture {
 protected:
  ~GroupingServiceTest() override { server_.reset(); }  // before the machine
  void SetUp() override {
    Start(Options(machine_.machine(), {testing::SampleDeployment()}));
    stub_ = v1::GroupingService::NewStub(channel_);
  }
  static v1::AssignRequest Request(const std::string& id) {
    v1::AssignRequest request;
    request.set_deployment("chat");
    request.set_request_id(id);
    request.set_domain("law");
    request.set_prompt_tokens(10);
    request.set_cells(PackAs<uint32_t>(std::vector<int>{1, 2 * 8 + 7}));
    request.set_counts(PackAs<uint16_t>(std::vector<int>{20, 20}));
    return request;
  }
  v1::AssignResponse Assign(const v1::AssignRequest& request) {
    v1::AssignResponse response;
    EXPECT_TRUE(stub_->Assign(Context().get(), request, &response).ok());
    return response;
  }

  // A deployment with two microbatches gets a grouping at once.
  testing::ScriptedMachine machine_{[](const Event& event) -> Effects {
    const auto* added = std::get_if<event::AddDeployment>(&event);
    if (added == nullptr || added->deployment.microbatches < 2) {
      return {};
    }
    return {
        effect::UseGrouping{"chat", std::make_shared<const Plan>(testing::SamplePlan(5)), {1, 5}}};
  }};
  std::unique_ptr<v1::GroupingService::Stub> stub_;
};

TEST_F(GroupingServiceTest, DealsRoundRobinWithoutAPlanAndIsSticky) {
  const v1::AssignResponse a = Assign(Request("a"));
  EXPECT_EQ(a.node(), 0u);
  EXPECT_EQ(a.name(), "node-0");
  EXPECT_EQ(a.ranked_size(), 3);
  EXPECT_FALSE(a.has_grouping());
  EXPECT_FALSE(a.has_microbatch());
  EXPECT_EQ(Assign(Request("b")).node(), 1u);
  const v1::AssignResponse again = Assign(Request("a"));
  EXPECT_EQ(again.node(), 0u);
  EXPECT_TRUE(again.sticky());
  v1::ReleaseRequest release;
  release.set_deployment("chat");
  release.add_request_ids("a");
  release.add_request_ids("unknown");
  v1::ReleaseResponse released;
  ASSERT_TRUE(stub_->Release(Context().get(), release, &released).ok());
  EXPECT_EQ(released.released(), 1u);
}

TEST_F(GroupingServiceTest, AnswersByTheGroupingInUse) {
  server_.reset();
  Deployment deployment = testing::SampleDeployment();
  deployment.microbatches = 2;
  Start(Options(machine_.machine(), {deployment}));
  stub_ = v1::GroupingService::NewStub(channel_);
  // An answer from the engine's thread: the effect of what came before is carried out.
  v1::GetStatusResponse status;
  ASSERT_TRUE(v1::AdminService::NewStub(channel_)->GetStatus(Context().get(), {}, &status).ok());
  const v1::AssignResponse response = Assign(Request("a"));
  EXPECT_EQ(response.grouping().revision(), 5u);
  EXPECT_LE(response.ranked(0).cost(), response.ranked(1).cost());
}

TEST_F(GroupingServiceTest, BadRequestsAreNamed) {
  const auto error = [&](auto change) {
    v1::AssignRequest request = Request("a");
    change(request);
    v1::AssignResponse response;
    return stub_->Assign(Context().get(), request, &response);
  };
  const auto invalid = grpc::StatusCode::INVALID_ARGUMENT;
  EXPECT_THAT(error([](auto& r) { r.set_deployment("x"); }),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("no deployment \"x\"")));
  EXPECT_THAT(error([](auto& r) { r.set_request_id(""); }),
              GrpcStatusIs(invalid, HasSubstr("request_id has 0 bytes")));
  EXPECT_THAT(error([](auto& r) { r.set_request_id(std::string(257, 'x')); }),
              GrpcStatusIs(invalid, HasSubstr("request_id has 257 bytes")));
  EXPECT_THAT(error([](auto& r) { r.mutable_counts()->pop_back(); }),
              GrpcStatusIs(invalid, HasSubstr("cells have 8 bytes and counts 3")));
  EXPECT_THAT(error([](auto& r) {
                r.set_cells(PackAs<uint32_t>(std::vector<int>{0, 24}));
              }),
              GrpcStatusIs(invalid, HasSubstr("cells[1] is 24, must be below 3 layers x 8")));
  EXPECT_THAT(error([](auto& r) { r.set_prompt_tokens(4'000'000'000u); }),
              GrpcStatusIs(invalid, HasSubstr("prompt_tokens")));
}

}  // namespace
}  // namespace advisor::server
