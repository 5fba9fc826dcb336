// Many peers at once, in the small: everybody gets what is published, a whole fleet comes back
// through the door, every frame is acknowledged, and who idles costs little. tests/bench/load has
// the figures.

#include <grpcpp/grpcpp.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "proto/convert/plan.h"
#include "proto/convert/report.h"
#include "proto/convert/status.h"
#include "server/store/sqlite_store.h"
#include "tests/server/support/fake_clock.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/fake_plan.h"
#include "tests/support/memory.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor {
namespace {

Deployment SmallDeployment() {
  Deployment deployment;
  deployment.name = "chat";
  deployment.model = testing::SmallModel(2, 8, 2);
  deployment.topology = *Topology::Uniform(2, 1, 4);
  return deployment;
}

class FleetTest : public testing::ServerFixture {
 protected:
  struct Subscription {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::SubscribeRequest, v1::SubscribeResponse>> stream;
  };

  // Two plans of different content, so that every rollback publishes.
  void StorePlans() {
    auto store = server::SqliteStore::Open(folder_ / "store.db", 64);
    ASSERT_THAT(store, testing::IsOk());
    ASSERT_THAT((*store)->BeginEpoch(), testing::IsOk());
    const Deployment deployment = SmallDeployment();
    for (int revision = 1; revision <= 2; ++revision) {
      Plan plan = testing::LinearPlan(deployment.model, deployment.topology, revision);
      plan.deployment = "chat";
      plan.position = {1, static_cast<uint64_t>(revision)};
      PlanRecord record;
      record.plan = std::make_shared<const Plan>(plan);
      record.content_hash = PlacementHash(plan);
      ASSERT_THAT((*store)->StorePlan("chat", record), testing::IsOk());
    }
  }
  void StartDaemon() {
    server::ServerOptions options = Options(server::MakeEngineMachine(), {SmallDeployment()});
    options.config.limits.new_streams_per_second = 1'000'000;
    options.config.limits.streams_per_connection = 10'000;
    Start(std::move(options));
  }

  Subscription Subscribe(int number) {
    Subscription subscription;
    subscription.context = Context();
    subscription.stream = v1::PlanService::NewStub(channel_)->Subscribe(subscription.context.get());
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = absl::StrCat("router-", number);
    hello.incarnation = {1, 1};
    v1::SubscribeRequest request;
    *request.mutable_hello() = ToProto(hello);
    subscription.stream->Write(request);
    return subscription;
  }
  // Reads, and acknowledges what it reads, until it has the placement.
  static bool HasRead(const Subscription& subscription, const v1::Position& position) {
    v1::SubscribeResponse response;
    while (subscription.stream->Read(&response)) {
      if (!response.has_placement()) {
        continue;
      }
      const v1::Position& got = response.placement().position();
      v1::SubscribeRequest request;
      PlanAck ack;
      ack.position = {got.epoch(), got.revision()};
      *request.mutable_ack() = ToProto(ack);
      subscription.stream->Write(request);
      if (got.epoch() == position.epoch() && got.revision() == position.revision()) {
        return true;
      }
    }
    return false;
  }
  v1::Position Rollback() {
    v1::RollbackRequest request;
    request.set_deployment("chat");
    v1::RollbackResponse response;
    const grpc::Status status =
        v1::AdminService::NewStub(channel_)->Rollback(Context().get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.position();
  }
  v1::DeploymentStatus Status() {
    v1::GetStatusResponse response;
    EXPECT_TRUE(
        v1::AdminService::NewStub(channel_)->GetStatus(Context().get(), {}, &response).ok());
    return response.deployments(0);
  }
};

TEST_F(FleetTest, EverybodyGetsTheLatestBesideOneWhoNeverReads) {
  StorePlans();
  StartDaemon();
  constexpr int kReaders = 60;
  std::vector<Subscription> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.push_back(Subscribe(i));
  }
  const Subscription silent = Subscribe(kReaders);
  v1::SubscribeResponse first;
  for (const Subscription& reader : readers) {
    ASSERT_TRUE(reader.stream->Read(&first));
  }
  for (int push = 0; push < 10; ++push) {
    const v1::Position latest = Rollback();
    for (const Subscription& reader : readers) {
      ASSERT_TRUE(HasRead(reader, latest));
    }
  }
  EXPECT_TRUE(HasRead(silent, Rollback()));  // late, it still finds its way to the latest
}

// The door's clock stands still unless the test moves it.
TEST_F(FleetTest, AHerdComesBackAtTheRateOfTheDoor) {
  constexpr int kHerd = 50, kPerSecond = 20;
  testing::FakeClock clock;
  server::ServerOptions options = Options(server::MakeEngineMachine(), {SmallDeployment()});
  options.config.limits.new_streams_per_second = kPerSecond;
  options.clock = &clock;
  Start(std::move(options));
  std::vector<Subscription> in;
  std::multimap<absl::Duration, int> due;  // when each comes, since the start
  for (int member = 0; member < kHerd; ++member) {
    due.emplace(absl::ZeroDuration(), member);
  }
  absl::Duration now;
  int sent_away = 0;
  while (!due.empty() && now < absl::Minutes(1)) {
    const auto [when, member] = *due.begin();
    due.erase(due.begin());
    clock.Advance(when - now);
    now = when;
    Subscription subscription = Subscribe(member);
    v1::SubscribeResponse response;
    if (subscription.stream->Read(&response)) {
      in.push_back(std::move(subscription));
      continue;
    }
    const grpc::Status refused = subscription.stream->Finish();
    EXPECT_THAT(refused, testing::GrpcStatusIs(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                               ::testing::StartsWith("TOO_MANY_NEW_STREAMS")));
    ++sent_away;
    due.emplace(now + RetryDelayOf(FromGrpc(refused)), member);
  }
  EXPECT_EQ(in.size(), size_t{kHerd});
  EXPECT_EQ(sent_away, kHerd - kPerSecond);  // each came once too early and then in its turn
  EXPECT_LE(now, absl::Seconds(1) + absl::Seconds(kHerd) / kPerSecond);
  server_.reset();  // before its clock
}

TEST_F(FleetTest, EveryFrameOfEveryReporterIsAcknowledgedAndNoneForcedToMerge) {
  StartDaemon();
  constexpr int kReporters = 40, kFrames = 8;
  const ModelSpec model = SmallDeployment().model;
  const auto stub = v1::ReportService::NewStub(channel_);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::ReportRequest, v1::ReportResponse>>>
      streams;
  Rng rng(5);
  for (int r = 0; r < kReporters; ++r) {
    contexts.push_back(Context());
    streams.push_back(stub->Report(contexts.back().get()));
    v1::ReportRequest request;
    *request.mutable_hello() = ToProto(ReporterHello{
        "chat", absl::StrCat("agent-", r), {1, 1}, 0, absl::StrCat("node-", r % 2), 1});
    streams.back()->Write(request);
    for (uint64_t seq = 1; seq <= kFrames; ++seq) {  // as many as there are credits
      const Traffic traffic = testing::RandomTraffic(model, 5, 2, &rng);
      *request.mutable_frame() =
          ToProto(testing::FrameOf(model, traffic.requests, seq, seq * kReporters + r));
      streams.back()->Write(request);
    }
  }
  for (const auto& stream : streams) {
    v1::ReportResponse response;
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_GE(response.hello_ack().credits(), uint32_t{kFrames});
    do {
      ASSERT_TRUE(stream->Read(&response));
      EXPECT_FALSE(response.frame_ack().want_key_frame());
      EXPECT_EQ(response.frame_ack().rejected_blocks(), 0u);
      EXPECT_GT(response.frame_ack().credits(), 0u);
    } while (response.frame_ack().acked_seq() < kFrames);
  }
  uint64_t frames = 0;
  const v1::DeploymentStatus status = Status();
  for (const v1::ReporterStatus& reporter : status.reporters()) {
    frames += reporter.frames();
    EXPECT_EQ(reporter.lost_steps(), 0u);
  }
  EXPECT_EQ(frames, uint64_t{kReporters} * kFrames);
}

TEST_F(FleetTest, WhoIdlesCostsLittle) {
  StartDaemon();
  constexpr int kWarm = 50, kIdle = 500;
  std::vector<Subscription> all;
  v1::SubscribeResponse response;
  const auto add = [&](int count) {
    for (int i = 0; i < count; ++i) {
      all.push_back(Subscribe(static_cast<int>(all.size())));
    }
    for (size_t i = all.size() - count; i < all.size(); ++i) {
      ASSERT_TRUE(all[i].stream->Read(&response));
    }
  };
  add(kWarm);
  const int64_t before = testing::ResidentBytes();
  add(kIdle);
  // Both ends of every stream are in this process.
  EXPECT_LT((testing::ResidentBytes() - before) / kIdle, testing::kMemoryFactor * 150'000);
}

}  // namespace
}  // namespace advisor
