// The daemon with its real engine, solver and store, and peers that speak the wire: reports lead to
// a plan, the plan reaches subscribers, survives a restart and is switched to in two phases.

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/grouping.grpc.pb.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "core/base/rng.h"
#include "gtest/gtest.h"
#include "proto/convert/counts.h"
#include "proto/convert/little_endian.h"
#include "proto/convert/plan.h"
#include "proto/convert/report.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

// 2 nodes of one GPU with 4 slots; node-0 runs domain "a", which wants experts 4 to 7, and node-1
// domain "b", which wants experts 0 to 3: exactly what the linear placement has the wrong way
// round.
Deployment Swapped(Mode mode) {
  Deployment deployment;
  deployment.name = "chat";
  deployment.mode = mode;
  deployment.model = testing::SmallModel(2, 8, 2);
  deployment.topology = *Topology::Uniform(2, 1, 4);
  return deployment;
}

constexpr int kTokens = 64;  // per phase and frame

// One node's traffic as frames: each token takes two of its domain's four experts in each layer.
class NodeTraffic {
 public:
  explicit NodeTraffic(int node) : node_(node), rng_(node + 1) {}

  v1::Frame Next() {
    Frame frame;
    frame.seq_first = frame.seq_last = ++seq_;
    frame.steps = 1;
    frame.last_step = seq_;
    for (const Phase phase : {Phase::kPrefill, Phase::kDecode}) {
      AddPhase(phase, &frame);
    }
    requests_ += kTokens / 8;
    return ToProto(std::move(frame));
  }

 private:
  void AddPhase(Phase phase, Frame* frame) {
    const ModelSpec model = Swapped(Mode::kAdvisory).model;
    const std::string domain = node_ == 0 ? "a" : "b";
    std::vector<uint32_t> counts(model.moe_layers * model.experts);
    for (int request = 0; request < kTokens / 8; ++request) {
      std::vector<uint16_t> ids;
      for (int i = 0; i < 8 * model.moe_layers; ++i) {
        const uint32_t first = rng_.Below(4), second = (first + 1 + rng_.Below(3)) % 4;
        for (const uint32_t choice : {first, second}) {
          const uint16_t expert = static_cast<uint16_t>((node_ == 0 ? 4 : 0) + choice);
          ids.push_back(expert);
          ++counts[(i % model.moe_layers) * model.experts + expert];
        }
      }
      frame->samples.push_back(
          {(requests_ + request) * 2 + node_, domain, phase, 0, EncodeExperts(ids, model.experts)});
    }
    ReportBlock block;
    block.domain = domain;
    block.phase = phase;
    block.tokens = kTokens;
    block.counts = EncodeCounts(counts, model.experts);
    frame->blocks.push_back(std::move(block));
  }

  const int node_;
  Rng rng_;
  uint64_t seq_ = 0, requests_ = 0;
};

class DaemonFlowTest : public testing::ServerFixture {
 protected:
  void StartDaemon(Mode mode) {
    server::ServerOptions options = Options(server::MakeEngineMachine(), {Swapped(mode)});
    DeploymentOptions& o = options.deployments[0].options;
    o.window.bucket_tokens = 256;
    o.policy.min_window_tokens = 1024;
    o.policy.min_solve_interval = absl::ZeroDuration();
    o.session.ack_every_frames = 1;
    Start(std::move(options));
  }

  // Reports from one node, paced by acknowledgements, until `enough` or many frames.
  void Report(int node, const std::atomic<bool>& enough) {
    const auto context = Context();
    const auto stream = v1::ReportService::NewStub(channel_)->Report(context.get());
    v1::ReportRequest request;
    const std::string name = absl::StrCat("node-", node);
    *request.mutable_hello() = ToProto(
        ReporterHello{"chat", absl::StrCat("agent-", node), {1, uint64_t(node)}, 0, name, 1});
    ASSERT_TRUE(stream->Write(request));
    v1::ReportResponse response;
    ASSERT_TRUE(stream->Read(&response));
    ASSERT_TRUE(response.has_hello_ack());
    if (response.hello_ack().want_window()) {
      request.mutable_window();
      ASSERT_TRUE(stream->Write(request));
    }
    NodeTraffic traffic(node);
    for (int i = 0; i < 2000 && !enough; ++i) {
      *request.mutable_frame() = traffic.Next();
      ASSERT_TRUE(stream->Write(request));
      ASSERT_TRUE(stream->Read(&response));
      ASSERT_EQ(response.frame_ack().rejected_blocks(), 0u)
          << response.frame_ack().rejects(0).message();
    }
    stream->WritesDone();
    stream->Finish();
  }

  struct Subscription {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReaderWriter<v1::SubscribeRequest, v1::SubscribeResponse>> stream;
    // Reads until a message that `is_it` accepts.
    template <typename Accept>
    v1::SubscribeResponse ReadUntil(Accept is_it) {
      v1::SubscribeResponse response;
      while (stream->Read(&response)) {
        if (is_it(response)) {
          return response;
        }
      }
      ADD_FAILURE() << "the stream ended: " << stream->Finish().error_message();
      return response;
    }
    void Acknowledge(const v1::Position& position, AckPhase phase) {
      PlanAck ack;
      ack.position = {position.epoch(), position.revision()};
      ack.phase = phase;
      v1::SubscribeRequest request;
      *request.mutable_ack() = ToProto(ack);
      stream->Write(request);
    }
  };
  Subscription Subscribe(const std::string& id, const std::string& actor_node = "") {
    Subscription subscription;
    subscription.context = Context();
    subscription.stream = v1::PlanService::NewStub(channel_)->Subscribe(subscription.context.get());
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = id;
    hello.incarnation = {7, 7};
    hello.role = actor_node.empty() ? Role::kObserver : Role::kActor;
    hello.node = actor_node;
    v1::SubscribeRequest request;
    *request.mutable_hello() = ToProto(hello);
    EXPECT_TRUE(subscription.stream->Write(request));
    return subscription;
  }
  v1::DeploymentStatus Status() {
    v1::GetStatusResponse response;
    EXPECT_TRUE(
        v1::AdminService::NewStub(channel_)->GetStatus(Context().get(), {}, &response).ok());
    return response.deployments(0);
  }
};

bool IsPlacement(const v1::SubscribeResponse& response) { return response.has_placement(); }

TEST_F(DaemonFlowTest, ReportsLeadToAPlanThatSurvivesARestart) {
  StartDaemon(Mode::kAdvisory);
  std::atomic<bool> enough{false};
  std::thread node0([&] { Report(0, enough); });
  std::thread node1([&] { Report(1, enough); });
  Subscription observer = Subscribe("router");
  const v1::SubscribeResponse update = observer.ReadUntil(IsPlacement);
  enough = true;
  node0.join();
  node1.join();
  EXPECT_EQ(update.placement().mode(), v1::PLACEMENT_MODE_ADVISORY);
  ASSERT_OK_AND_ASSIGN(const DecodedPlacement decoded, FromProto(update.placement(), nullptr));
  EXPECT_THAT(Validate(decoded.plan), testing::IsOk());
  EXPECT_GT(decoded.plan.predicted->figures.saving_ratio.value_or(0), 0);
  EXPECT_EQ(Status().position().revision(), 1u);
  EXPECT_EQ(update.placement().reason(), "first_plan");

  server_.reset();
  StartDaemon(Mode::kAdvisory);
  Subscription again = Subscribe("router");
  const v1::SubscribeResponse stored = again.ReadUntil(IsPlacement);
  EXPECT_EQ(stored.placement().content_hash(), update.placement().content_hash());
  EXPECT_EQ(stored.placement().position().revision(), 1u);
  v1::GetStatusResponse status;
  ASSERT_TRUE(v1::AdminService::NewStub(channel_)->GetStatus(Context().get(), {}, &status).ok());
  EXPECT_EQ(status.epoch(), 2u);
}

TEST_F(DaemonFlowTest, ActorsStageBeforeTheyAreToldToSwitch) {
  StartDaemon(Mode::kActive);
  std::vector<Subscription> actors;
  for (const std::string node : {"node-0", "node-1"}) {
    actors.push_back(Subscribe("agent-of-" + node, node));
  }
  std::atomic<bool> enough{false};
  std::thread node0([&] { Report(0, enough); });
  std::thread node1([&] { Report(1, enough); });
  v1::Position position;
  for (Subscription& actor : actors) {
    const v1::SubscribeResponse update = actor.ReadUntil(IsPlacement);
    EXPECT_EQ(update.placement().mode(), v1::PLACEMENT_MODE_PREPARE);
    position = update.placement().position();
    actor.Acknowledge(position, AckPhase::kReceived);
    actor.Acknowledge(position, AckPhase::kStaged);
  }
  for (Subscription& actor : actors) {
    const v1::SubscribeResponse response =
        actor.ReadUntil([](const v1::SubscribeResponse& r) { return r.has_decision(); });
    EXPECT_EQ(response.decision().kind(), v1::Decision::KIND_COMMIT);
    EXPECT_EQ(response.decision().position().revision(), position.revision());
    actor.Acknowledge(position, AckPhase::kApplied);
  }
  enough = true;
  node0.join();
  node1.join();
  EXPECT_EQ(Status().in_force().revision(), position.revision());

  // Requests of a domain go where its experts are now.
  const auto grouping = v1::GroupingService::NewStub(channel_);
  v1::AssignRequest request;
  request.set_deployment("chat");
  request.set_request_id("r");
  request.set_domain("a");
  request.set_prompt_tokens(16);
  request.set_cells(PackAs<uint32_t>(std::vector<int>{4, 5, 6, 7, 12, 13, 14, 15}));
  request.set_counts(PackAs<uint16_t>(std::vector<int>(8, 8)));
  v1::AssignResponse assigned;
  ASSERT_TRUE(grouping->Assign(Context().get(), request, &assigned).ok());
  EXPECT_TRUE(assigned.has_grouping());
  EXPECT_LT(assigned.ranked(0).cost(), assigned.ranked(1).cost());
}

TEST_F(DaemonFlowTest, RefusalsOfTheEngineReachPeers) {
  StartDaemon(Mode::kAdvisory);
  v1::ReportOnceRequest request;
  *request.mutable_hello() = ToProto(ReporterHello{"other", "agent", {1, 1}, 0, "node-0", 1});
  v1::ReportOnceResponse response;
  const auto stub = v1::ReportService::NewStub(channel_);
  EXPECT_EQ(stub->ReportOnce(Context().get(), request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  request.mutable_hello()->set_deployment("chat");
  request.mutable_hello()->set_model_fingerprint(1);
  EXPECT_THAT(stub->ReportOnce(Context().get(), request, &response),
              testing::GrpcStatusIs(
                  grpc::StatusCode::FAILED_PRECONDITION,
                  ::testing::HasSubstr("(name small, moe_layers 2, experts 8, top_k 2, ")));
  request.mutable_hello()->set_model_fingerprint(0);
  request.mutable_hello()->set_node("node-9");
  EXPECT_EQ(stub->ReportOnce(Context().get(), request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

}  // namespace
}  // namespace advisor
