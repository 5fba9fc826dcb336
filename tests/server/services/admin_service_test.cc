#include "server/services/admin_service.h"

#include <future>
#include <memory>
#include <string>

#include "advisor/v1/admin.grpc.pb.h"
#include "core/base/rng.h"
#include "core/io/plan_file.h"
#include "core/io/trace.h"
#include "gtest/gtest.h"
#include "tests/server/support/sample_status.h"
#include "tests/server/support/scripted_machine.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/random_traffic.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;

// Some 2 MB as text: requests of 1,000 tokens, one of them longer than a piece.
std::shared_ptr<const Traffic> SampleWindow() {
  Rng rng(1);
  Traffic traffic = testing::RandomTraffic(testing::SmallModel(26, 64, 6), 8, 2, &rng);
  Request& longest = traffic.requests.front();
  while (longest.tokens < 4000) {
    longest.experts.insert(longest.experts.end(), longest.experts.begin(), longest.experts.end());
    longest.tokens *= 2;
  }
  longest.weight = 2.5;
  return std::make_shared<const Traffic>(std::move(traffic));
}

// Carries out commands on deployment "chat"; a forced solve is never answered.
Effects React(const Event& event) {
  effect::CommandDone done;
  std::string deployment;
  if (const auto* solve = std::get_if<event::SolveNow>(&event)) {
    if (solve->force) {
      return {};
    }
    done.id = solve->id;
    done.reason = DecisionReason::kOperator;
    done.detail = "published";
    done.position = {2, 8};
    deployment = solve->deployment;
  } else if (const auto* mode = std::get_if<event::SetMode>(&event)) {
    done.id = mode->id;
    deployment = mode->deployment;
  } else if (const auto* frozen = std::get_if<event::SetFrozen>(&event)) {
    done.id = frozen->id;
    deployment = frozen->deployment;
  } else if (const auto* window = std::get_if<event::GetWindow>(&event)) {
    done.id = window->id;
    deployment = window->deployment;
    done.window = SampleWindow();
  } else if (const auto* rollback = std::get_if<event::Rollback>(&event)) {
    done.id = rollback->id;
    done.position = {2, 9};
    deployment = rollback->deployment;
  } else {
    return {};
  }
  if (deployment != "chat") {
    done.status = absl::NotFoundError("no such deployment");
  }
  return {done};
}

class AdminServiceTest : public testing::ServerFixture {
 protected:
  ~AdminServiceTest() override { server_.reset(); }  // before the machine
  void SetUp() override {
    machine_.set_status(testing::SampleStatus());
    Start(Options(machine_.machine(), {testing::SampleDeployment()}));
    stub_ = v1::AdminService::NewStub(channel_);
  }

  testing::ScriptedMachine machine_{React};
  std::unique_ptr<v1::AdminService::Stub> stub_;
};

TEST_F(AdminServiceTest, GetStatusTellsEverything) {
  v1::GetStatusRequest request;
  v1::GetStatusResponse response;
  ASSERT_TRUE(stub_->GetStatus(Context().get(), request, &response).ok());
  EXPECT_FALSE(response.version().empty());
  EXPECT_EQ(response.epoch(), 2u);
  ASSERT_EQ(response.deployments_size(), 1);
  const v1::DeploymentStatus& d = response.deployments(0);
  EXPECT_EQ(d.deployment(), "chat");
  EXPECT_EQ(d.mode(), v1::MODE_ADVISORY);
  EXPECT_EQ(d.position().revision(), 7u);
  EXPECT_EQ(d.in_force().revision(), 6u);
  EXPECT_EQ(d.reporters(0).state(), v1::ReporterStatus::STALE);
  EXPECT_EQ(d.reporters(0).lost_steps(), 3u);
  EXPECT_EQ(d.subscribers(0).role(), v1::ROLE_ACTOR);
  EXPECT_EQ(d.subscribers(0).phase(), v1::Ack::ROLLED_BACK);
  EXPECT_EQ(d.subscribers(0).nack().reason(), v1::Nack::REASON_OUT_OF_MEMORY);
  EXPECT_EQ(d.domains(0).prefill_decode_correlation(), 0.8);
  EXPECT_EQ(d.measured_saving(), 0.25);
  EXPECT_EQ(d.last_decision(), v1::DECISION_REASON_NO_GAIN);
  EXPECT_EQ(d.window_tokens(), 1234u);
  EXPECT_EQ(d.model(), "small");

  request.set_deployment("x");
  EXPECT_THAT(stub_->GetStatus(Context().get(), request, &response),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("no deployment \"x\"")));
}

TEST_F(AdminServiceTest, PlansAreListedAndShown) {
  v1::ListPlansRequest list;
  list.set_deployment("chat");
  v1::ListPlansResponse plans;
  ASSERT_TRUE(stub_->ListPlans(Context().get(), list, &plans).ok());
  ASSERT_EQ(plans.plans_size(), 1);
  EXPECT_EQ(plans.plans(0).reason(), v1::DECISION_REASON_DRIFT);
  EXPECT_EQ(plans.plans(0).content_hash(), 0xfedcba9876543210u);
  EXPECT_EQ(plans.plans(0).moved_slots(), 1u);
  EXPECT_EQ(plans.plans(0).predicted().saving_ratio(), 0.25);

  v1::GetPlanRequest get;
  get.set_deployment("chat");
  v1::GetPlanResponse plan;
  ASSERT_TRUE(stub_->GetPlan(Context().get(), get, &plan).ok());
  ASSERT_OK_AND_ASSIGN(const Plan parsed, ParsePlan(plan.plan_json(), "answer"));
  EXPECT_EQ(parsed.placement, testing::SamplePlan(7).placement);
  get.mutable_position()->set_epoch(1);
  get.mutable_position()->set_revision(6);
  EXPECT_THAT(stub_->GetPlan(Context().get(), get, &plan),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("keeps no plan 1/6")));
}

TEST_F(AdminServiceTest, ExplainTellsReasons) {
  v1::ExplainRequest request;
  request.set_deployment("chat");
  v1::ExplainResponse response;
  ASSERT_TRUE(stub_->Explain(Context().get(), request, &response).ok());
  ASSERT_EQ(response.decisions_size(), 1);
  EXPECT_EQ(response.decisions(0).reason(), v1::DECISION_REASON_NO_GAIN);
  EXPECT_THAT(response.decisions(0).detail(), HasSubstr("must be 2 %"));
}

TEST_F(AdminServiceTest, TheWindowIsATraceInPieces) {
  v1::GetWindowRequest request;
  request.set_deployment("chat");
  const auto context = Context();
  const auto reader = stub_->GetWindow(context.get(), request);
  std::string text;
  int pieces = 0;
  for (v1::GetWindowResponse piece; reader->Read(&piece); ++pieces) {
    EXPECT_LE(piece.trace().size(), size_t{256} << 10);
    text += piece.trace();
  }
  ASSERT_TRUE(reader->Finish().ok());
  EXPECT_GT(pieces, 2);
  ASSERT_OK_AND_ASSIGN(const Traffic window, ParseTrace(text, "answer"));
  const std::shared_ptr<const Traffic> want = SampleWindow();
  ASSERT_EQ(window.requests.size(), want->requests.size());
  for (size_t i = 0; i < want->requests.size(); ++i) {
    EXPECT_EQ(window.requests[i].experts, want->requests[i].experts);
    EXPECT_EQ(window.requests[i].weight, want->requests[i].weight);
  }

  request.set_deployment("x");
  const auto second = Context();
  const auto refused = stub_->GetWindow(second.get(), request);
  v1::GetWindowResponse piece;
  EXPECT_FALSE(refused->Read(&piece));
  EXPECT_THAT(refused->Finish(), GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("no such")));
}

TEST_F(AdminServiceTest, CommandsAnswerWhenTheyAreDone) {
  v1::SolveNowRequest solve;
  solve.set_deployment("chat");
  v1::SolveNowResponse solved;
  ASSERT_TRUE(stub_->SolveNow(Context().get(), solve, &solved).ok());
  EXPECT_EQ(solved.reason(), v1::DECISION_REASON_OPERATOR);
  EXPECT_EQ(solved.position().revision(), 8u);

  v1::SetModeRequest mode;
  mode.set_deployment("chat");
  v1::SetModeResponse mode_set;
  EXPECT_THAT(stub_->SetMode(Context().get(), mode, &mode_set),
              GrpcStatusIs(grpc::StatusCode::INVALID_ARGUMENT, HasSubstr("mode is 0")));
  mode.set_mode(v1::MODE_ACTIVE);
  ASSERT_TRUE(stub_->SetMode(Context().get(), mode, &mode_set).ok());
  EXPECT_EQ(machine_.Take<event::SetMode>().mode, Mode::kActive);
  mode.set_deployment("x");
  EXPECT_THAT(stub_->SetMode(Context().get(), mode, &mode_set),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("no such")));

  v1::SetFrozenRequest freeze;
  freeze.set_deployment("chat");
  freeze.set_frozen(true);
  v1::SetFrozenResponse frozen;
  ASSERT_TRUE(stub_->SetFrozen(Context().get(), freeze, &frozen).ok());
  EXPECT_TRUE(machine_.Take<event::SetFrozen>().frozen);

  v1::RollbackRequest rollback;
  rollback.set_deployment("chat");
  rollback.mutable_to()->set_revision(3);
  v1::RollbackResponse rolled_back;
  ASSERT_TRUE(stub_->Rollback(Context().get(), rollback, &rolled_back).ok());
  EXPECT_EQ(rolled_back.position().revision(), 9u);
  EXPECT_EQ(machine_.Take<event::Rollback>().to.revision, 3u);
}

TEST_F(AdminServiceTest, DrainAnswersCommandsThatWait) {
  auto pending = std::async(std::launch::async, [this] {
    v1::SolveNowRequest request;
    request.set_deployment("chat");
    request.set_force(true);
    v1::SolveNowResponse response;
    return stub_->SolveNow(Context().get(), request, &response);
  });
  machine_.Take<event::SolveNow>();
  server_->Drain();
  EXPECT_THAT(pending.get(), GrpcStatusIs(grpc::StatusCode::UNAVAILABLE, HasSubstr("DRAINING")));
}

}  // namespace
}  // namespace advisor::server
