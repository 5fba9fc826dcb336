#include "server/access/tls.h"

#include <string>

#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/grouping.grpc.pb.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "gtest/gtest.h"
#include "proto/convert/plan.h"
#include "proto/convert/report.h"
#include "tests/server/support/certificates.h"
#include "tests/server/support/scripted_machine.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;
constexpr auto kDenied = grpc::StatusCode::PERMISSION_DENIED;

Effects React(const Event& event) {
  if (const auto* opened = std::get_if<event::ReporterOpened>(&event)) {
    return {effect::SendReporter{opened->stream, HelloAck{}}};
  }
  if (const auto* frame = std::get_if<event::ReporterFrame>(&event)) {
    FrameAck ack;
    ack.acked_seq = frame->frame.seq_last;
    return {effect::SendReporter{frame->stream, ack}};
  }
  if (const auto* opened = std::get_if<event::SubscriberOpened>(&event)) {
    return {effect::SendSubscriber{opened->stream, UpToDate{}}};
  }
  if (const auto* frozen = std::get_if<event::SetFrozen>(&event)) {
    return {effect::CommandDone{frozen->id, absl::OkStatus(), DecisionReason::kNone, "", {}}};
  }
  return {};
}

class TlsTest : public testing::ServerFixture {
 protected:
  ~TlsTest() override { server_.reset(); }  // before the machine
  void SetUp() override {
    ca_.Sign("server", "advisord", "IP:127.0.0.1");
    ServerOptions options = Options(machine_.machine(), {testing::SampleDeployment()});
    options.config.tls = {folder_ / "server.crt", folder_ / "server.key", folder_ / "clients.crt",
                          1};
    std::filesystem::copy_file(ca_.certificate(), folder_ / "clients.crt");
    options.config.access = {
        {"spiffe://prod/agent/*", {Right::kReporter, Right::kSubscriber}, {"chat"}, false},
        {"router-7", {Right::kRouter}, {}, false},
        {"operator", {Right::kAdmin}, {}, false}};
    Start(std::move(options));
  }
  // A channel that trusts `roots` and shows <file>.crt; "": shows nothing.
  std::shared_ptr<grpc::Channel> Connect(const std::string& file, const std::string& roots) {
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = testing::ReadBytes(roots);
    if (!file.empty()) {
      ssl.pem_cert_chain = testing::ReadBytes(folder_ / (file + ".crt"));
      ssl.pem_private_key = testing::ReadBytes(folder_ / (file + ".key"));
    }
    grpc::ChannelArguments own;
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // every channel makes its own handshake
    return grpc::CreateCustomChannel(server_->grpc_address(), grpc::SslCredentials(ssl), own);
  }
  std::shared_ptr<grpc::Channel> Connect(const std::string& file) {
    return Connect(file, ca_.certificate());
  }
  std::string Sign(const std::string& file, const std::string& name, const std::string& uri) {
    ca_.Sign(file, name, uri);
    return file;
  }
  std::string Agent() { return Sign("agent", "agent", "URI:spiffe://prod/agent/node-0"); }

  static v1::ReportOnceRequest ReportOf(const std::string& reporter) {
    v1::ReportOnceRequest request;
    *request.mutable_hello() = ToProto(ReporterHello{"chat", reporter, {1, 2}, 0, "node-0", 1});
    return request;
  }
  static grpc::Status Report(const std::shared_ptr<grpc::Channel>& channel,
                             const std::string& reporter) {
    v1::ReportOnceResponse response;
    return v1::ReportService::NewStub(channel)->ReportOnce(Context().get(), ReportOf(reporter),
                                                           &response);
  }
  static grpc::Status Subscribe(const std::shared_ptr<grpc::Channel>& channel,
                                const std::string& id) {
    const auto context = Context();
    const auto stream = v1::PlanService::NewStub(channel)->Subscribe(context.get());
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = id;
    hello.incarnation = {1, 2};
    v1::SubscribeRequest request;
    *request.mutable_hello() = ToProto(hello);
    stream->Write(request);
    v1::SubscribeResponse response;
    stream->Read(&response);
    stream->WritesDone();
    return stream->Finish();
  }
  static grpc::Status Freeze(const std::shared_ptr<grpc::Channel>& channel) {
    v1::SetFrozenRequest request;
    request.set_deployment("chat");
    request.set_frozen(true);
    v1::SetFrozenResponse response;
    return v1::AdminService::NewStub(channel)->SetFrozen(Context().get(), request, &response);
  }
  static grpc::Status Assign(const std::shared_ptr<grpc::Channel>& channel) {
    v1::AssignRequest request;
    request.set_deployment("chat");
    request.set_request_id("r");
    v1::AssignResponse response;
    return v1::GroupingService::NewStub(channel)->Assign(Context().get(), request, &response);
  }

  testing::ScriptedMachine machine_{React};
  testing::Authority ca_{folder_.path(), "ca"};
};

TEST_F(TlsTest, EachMethodNeedsItsRightAndEachNameItsCertificate) {
  const auto agent = Connect(Agent());
  EXPECT_TRUE(Report(agent, "node-0").ok());
  EXPECT_TRUE(Subscribe(agent, "node-0").ok());
  EXPECT_THAT(Report(agent, "node-1"), GrpcStatusIs(kDenied, HasSubstr("IDENTITY_MISMATCH")));
  EXPECT_THAT(Subscribe(agent, "node-1"), GrpcStatusIs(kDenied, HasSubstr("IDENTITY_MISMATCH")));
  EXPECT_THAT(Freeze(agent), GrpcStatusIs(kDenied, HasSubstr("admin")));
  EXPECT_THAT(Assign(agent), GrpcStatusIs(kDenied, HasSubstr("router")));

  const auto router = Connect(Sign("router", "router-7", "DNS:router"));
  EXPECT_TRUE(Assign(router).ok());
  EXPECT_THAT(Report(router, "router-7"), GrpcStatusIs(kDenied, HasSubstr("reporter")));
}

TEST_F(TlsTest, AdminCallsLeaveALineWithWhoAndWhat) {
  ::testing::internal::CaptureStderr();
  EXPECT_TRUE(Freeze(Connect(Sign("op", "operator", "DNS:op"))).ok());
  EXPECT_FALSE(Freeze(Connect(Agent())).ok());
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(log, HasSubstr("audit: operator asked for SetFrozen freeze: OK"));
  EXPECT_THAT(log, HasSubstr("audit: spiffe://prod/agent/node-0 asked for SetFrozen freeze: "
                             "PERMISSION_DENIED"));
}

TEST_F(TlsTest, CertificatesThatDoNotHoldAreRefused) {
  const auto unavailable = grpc::StatusCode::UNAVAILABLE;
  const testing::Authority other(folder_.path(), "other");
  other.Sign("forged", "agent", "URI:spiffe://prod/agent/node-0");
  ca_.Sign("expired", "agent", "URI:spiffe://prod/agent/node-0", -1);
  EXPECT_EQ(Report(Connect(""), "node-0").error_code(), unavailable) << "no certificate";
  EXPECT_EQ(Report(Connect("forged"), "node-0").error_code(), unavailable);
  EXPECT_EQ(Report(Connect("expired"), "node-0").error_code(), unavailable);
  EXPECT_THAT(Report(Connect(Sign("foreign", "agent", "URI:spiffe://test/agent/node-0")), "node-0"),
              GrpcStatusIs(kDenied, HasSubstr("spiffe://test/agent/node-0")));
}

TEST_F(TlsTest, OnlyTls13IsSpoken) {
  const std::string agent = folder_ / Agent();
  const auto handshake = [&](const char* version) {
    return std::system(absl::StrCat("openssl s_client -connect ", server_->grpc_address(), " -",
                                    version, " -alpn h2 -CAfile ", ca_.certificate(), " -cert ",
                                    agent, ".crt -key ", agent,
                                    ".key -verify_return_error </dev/null >/dev/null 2>&1")
                           .c_str());
  };
  EXPECT_EQ(handshake("tls1_3"), 0);
  EXPECT_NE(handshake("tls1_2"), 0);
}

TEST_F(TlsTest, RotatedFilesServeNewConnectionsAndDropNoStream) {
  const auto old_channel = Connect(Agent());
  const auto context = Context();
  const auto stream = v1::ReportService::NewStub(old_channel)->Report(context.get());
  v1::ReportRequest request;
  *request.mutable_hello() = ReportOf("node-0").hello();
  v1::ReportResponse response;
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));

  const testing::Authority next(folder_.path(), "next");
  next.Sign("server", "advisord", "IP:127.0.0.1");
  next.Sign("agent2", "agent", "URI:spiffe://prod/agent/node-0");
  testing::WriteBytes(folder_ / "clients.new", testing::ReadBytes(next.certificate()));
  std::filesystem::rename(folder_ / "clients.new", folder_ / "clients.crt");
  bool served = false;
  for (int i = 0; i < 300 && !served; ++i) {
    const auto channel = Connect("agent2", next.certificate());
    served = channel->WaitForConnected(std::chrono::system_clock::now() +
                                       std::chrono::milliseconds(100)) &&
             Report(channel, "node-0").ok();
  }
  EXPECT_TRUE(served);
  EXPECT_EQ(Report(Connect("agent"), "node-0").error_code(), grpc::StatusCode::UNAVAILABLE);

  Frame frame;
  frame.seq_first = frame.seq_last = 1;
  *request.mutable_frame() = ToProto(std::move(frame));
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response)) << "the old stream was dropped";
  EXPECT_EQ(response.frame_ack().acked_seq(), 1u);
  context->TryCancel();
}

TEST_F(TlsTest, OffLoopbackTlsIsEnough) {
  ServerOptions options = Options(machine_.machine(), {testing::SampleDeployment()});
  options.config.listen = "0.0.0.0:0";
  options.config.store = folder_ / "second.db";
  options.config.tls = {folder_ / "server.crt", folder_ / "server.key", ca_.certificate(), 60};
  EXPECT_THAT(Server::Start(options), testing::IsOk());
  options.config.tls.key = folder_ / "absent.key";
  EXPECT_THAT(Server::Start(options),
              testing::StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent.key")));
}

}  // namespace
}  // namespace advisor::server
