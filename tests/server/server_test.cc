#include "server/server.h"

#include <grpcpp/generic/generic_stub.h>
#include <signal.h>
#include <sys/resource.h>

#include <future>
#include <memory>
#include <string>

#include "advisor/v1/admin.grpc.pb.h"
#include "gtest/gtest.h"
#include "tests/server/support/scripted_machine.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

class ServerTest : public testing::ServerFixture {
 protected:
  ~ServerTest() override { server_.reset(); }  // before the machine
  ServerOptions Default() { return Options(machine_.machine(), {testing::SampleDeployment()}); }

  // grpc.health.v1.Health/Check, by hand: the request's field 1 is the service's name, the answer's
  // field 1 the status, 1 SERVING and 2 NOT_SERVING.
  grpc::Status CheckHealth(const std::string& service, int* serving) {
    const std::string bytes =
        service.empty() ? "" : std::string("\x0a") + static_cast<char>(service.size()) + service;
    grpc::Slice slice(bytes);
    grpc::ByteBuffer request(&slice, 1), response;
    const auto context = Context();
    std::promise<grpc::Status> done;
    grpc::GenericStub(channel_).UnaryCall(
        context.get(), "/grpc.health.v1.Health/Check", {}, &request, &response,
        [&done](grpc::Status status) { done.set_value(std::move(status)); });
    const grpc::Status status = done.get_future().get();
    grpc::Slice answer;
    if (status.ok() && response.DumpToSingleSlice(&answer).ok() && answer.size() == 2) {
      *serving = answer.begin()[1];
    }
    return status;
  }

  testing::ScriptedMachine machine_{[](const Event&) { return Effects(); }};
};

TEST_F(ServerTest, ChoosesPortsAndTellsThem) {
  Start(Default());
  EXPECT_THAT(server_->grpc_address(), StartsWith("127.0.0.1:"));
  EXPECT_THAT(server_->http_address(), StartsWith("127.0.0.1:"));
  EXPECT_NE(server_->grpc_address(), "127.0.0.1:0");
  EXPECT_NE(server_->http_address(), "127.0.0.1:0");
}

TEST_F(ServerTest, HealthSpeaksForEveryService) {
  Start(Default());
  for (const char* name : {"", "advisor.v1.ReportService", "advisor.v1.PlanService",
                           "advisor.v1.GroupingService", "advisor.v1.AdminService"}) {
    int serving = 0;
    EXPECT_TRUE(CheckHealth(name, &serving).ok()) << name;
    EXPECT_EQ(serving, 1) << name;
  }
  int serving = 0;
  EXPECT_THAT(CheckHealth("no.such.Service", &serving),
              GrpcStatusIs(grpc::StatusCode::NOT_FOUND, HasSubstr("")));
}

TEST_F(ServerTest, TellsTheEngineItsEpochAndDeployments) {
  ServerOptions options =
      Options(machine_.machine(), {testing::SampleDeployment("a"), testing::SampleDeployment("b")});
  options.deployments[1].options.window.buckets = 3;
  Start(std::move(options));
  EXPECT_EQ(machine_.Take<event::Start>().epoch, 1u);
  EXPECT_EQ(machine_.Take<event::AddDeployment>().deployment.name, "a");
  EXPECT_EQ(machine_.Take<event::AddDeployment>().options.window.buckets, 3);
  server_.reset();
  Start(Default());
  EXPECT_EQ(machine_.Take<event::Start>().epoch, 2u);
}

TEST_F(ServerTest, ATakenPortIsOneClearError) {
  Start(Default());
  ServerOptions second = Default();
  second.config.store = folder_ / "second.db";
  second.config.listen = server_->grpc_address();
  EXPECT_THAT(Server::Start(std::move(second)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("choose another with --listen")));
  second = Default();
  second.config.store = folder_ / "third.db";
  second.config.http = server_->http_address();
  EXPECT_THAT(Server::Start(std::move(second)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("choose another with --http")));
}

TEST_F(ServerTest, ATakenStoreIsOneClearError) {
  Start(Default());
  EXPECT_THAT(Server::Start(Default()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("choose another with --store")));
}

TEST_F(ServerTest, WillNotListenOffLoopbackWithoutBeingAllowed) {
  ServerOptions options = Default();
  options.config.listen = "0.0.0.0:0";
  EXPECT_THAT(Server::Start(std::move(options)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--allow-insecure")));
  options = Default();
  options.config.listen = "0.0.0.0:0";
  options.allow_insecure = true;
  EXPECT_THAT(Server::Start(std::move(options)), testing::IsOk());
}

TEST_F(ServerTest, ListensOnAUnixSocket) {
  ServerOptions options = Default();
  options.config.listen = "unix:" + (folder_ / "advisord.sock");
  Start(std::move(options));
  int serving = 0;
  EXPECT_TRUE(CheckHealth("", &serving).ok());
  EXPECT_EQ(serving, 1);
}

TEST_F(ServerTest, WritesPlansThatTheEngineStoresAndLoadsThemAgain) {
  // Asks for a plan to be stored when told so; the answer comes back as an event.
  testing::ScriptedMachine storing([](const Event& event) -> Effects {
    if (std::holds_alternative<event::AddDeployment>(event)) {
      PlanRecord record;
      record.plan = std::make_shared<const Plan>(testing::SamplePlan(1));
      record.content_hash = PlacementHash(*record.plan);
      DeploymentState state;
      state.frozen = true;
      return {effect::StoreState{"chat", state}, effect::StorePlan{"chat", record}};
    }
    return {};
  });
  Start(Options(storing.machine(), {testing::SampleDeployment()}));
  const auto stored = storing.Take<event::PlanStored>();
  EXPECT_EQ(stored.position, (Position{1, 1}));
  EXPECT_TRUE(stored.status.ok());
  server_.reset();
  Start(Default());
  const auto added = machine_.Take<event::AddDeployment>();
  ASSERT_EQ(added.stored.records.size(), 1u);
  EXPECT_EQ(added.stored.records[0].plan->placement, testing::SamplePlan(1).placement);
  EXPECT_GT(added.stored.records[0].published_unix_ms, 0);
  ASSERT_TRUE(added.stored.state.has_value());
  EXPECT_TRUE(added.stored.state->frozen);
  server_.reset();  // before `storing`
}

// The disk is full for this process: no file may grow.
class FullDisk {
 public:
  FullDisk() {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{0, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

TEST_F(ServerTest, AFullDiskFreezesPublishingShowsAndHeals) {
  uint64_t revision = 0;
  testing::ScriptedMachine storing([&revision](const Event& event) -> Effects {
    if (const auto* asked = std::get_if<event::SolveNow>(&event)) {
      PlanRecord record;
      record.plan = std::make_shared<const Plan>(testing::SamplePlan(++revision));
      record.content_hash = PlacementHash(*record.plan);
      return {effect::StorePlan{"chat", record},
              effect::CommandDone{asked->id, absl::OkStatus(), DecisionReason::kNone, "", {}}};
    }
    return {};
  });
  Start(Options(storing.machine(), {testing::SampleDeployment()}));
  const auto store_one = [&] {
    v1::SolveNowRequest request;
    request.set_deployment("chat");
    v1::SolveNowResponse response;
    EXPECT_TRUE(
        v1::AdminService::NewStub(channel_)->SolveNow(Context().get(), request, &response).ok());
    return storing.Take<event::PlanStored>().status;
  };
  // Health follows within a tick.
  const auto becomes = [&](int wanted) {
    int store = 0, daemon = 0;
    for (int i = 0; i < 100'000 && store != wanted; ++i) {
      EXPECT_TRUE(CheckHealth("advisor.v1.PlanStore", &store).ok());
    }
    EXPECT_TRUE(CheckHealth("", &daemon).ok());
    EXPECT_EQ(daemon, 1) << "the daemon itself must go on serving";
    return store == wanted;
  };
  EXPECT_THAT(store_one(), testing::IsOk());
  {
    const FullDisk full;
    EXPECT_FALSE(store_one().ok());
    EXPECT_TRUE(becomes(2));
  }
  EXPECT_THAT(store_one(), testing::IsOk());
  EXPECT_TRUE(becomes(1));
  server_.reset();  // before `storing`
}

TEST_F(ServerTest, SolvesAndAnswers) {
  testing::ScriptedMachine solving([](const Event& event) -> Effects {
    if (const auto* added = std::get_if<event::AddDeployment>(&event)) {
      effect::StartSolve solve;
      solve.deployment = added->deployment.name;
      solve.ticket = SolveTicket(5);
      solve.time_limit = absl::Seconds(60);
      return {solve};
    }
    return {};
  });
  ServerOptions options = Options(solving.machine(), {testing::SampleDeployment()});
  options.solve = [](const effect::StartSolve&, ParallelFor&) -> absl::StatusOr<Plan> {
    return testing::SamplePlan(3);
  };
  Start(std::move(options));
  const auto done = solving.Take<event::SolveDone>();
  EXPECT_EQ(done.ticket, SolveTicket(5));
  ASSERT_TRUE(done.plan.ok());
  EXPECT_EQ((*done.plan)->placement, testing::SamplePlan(3).placement);
  server_.reset();  // before `solving`
}

TEST_F(ServerTest, DrainedTwiceAnswersNobody) {
  Start(Default());
  int serving = 0;
  ASSERT_TRUE(CheckHealth("", &serving).ok());
  for (int time = 0; time < 2; ++time) {
    server_->Drain();
    EXPECT_THAT(CheckHealth("", &serving),
                GrpcStatusIs(grpc::StatusCode::UNAVAILABLE, HasSubstr("")));
  }
}

}  // namespace
}  // namespace advisor::server
