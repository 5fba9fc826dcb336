// Peers that mean harm: what they cost is bounded, and others are served meanwhile.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "core/engine/engine.h"
#include "gtest/gtest.h"
#include "proto/convert/plan.h"
#include "proto/convert/report.h"
#include "server/observe/metrics.h"
#include "tests/server/support/server_fixture.h"
#include "tests/support/memory.h"
#include "tests/support/sample_plan.h"

namespace advisor::server {
namespace {

using testing::GrpcStatusIs;
using ::testing::HasSubstr;

class HostileTest : public testing::ServerFixture {
 protected:
  void SetUp() override { StartWith({}); }
  void StartWith(const LimitOptions& limits) {
    ServerOptions options = Options(MakeEngineMachine(), {testing::SampleDeployment()});
    options.config.store = folder_ / absl::StrCat("store-", ++stores_, ".db");
    options.config.limits = limits;
    server_.reset();
    Start(std::move(options));
    stub_ = v1::ReportService::NewStub(channel_);
  }
  v1::ReportOnceRequest Report(const std::string& reporter) {
    v1::ReportOnceRequest request;
    *request.mutable_hello() = ToProto(ReporterHello{
        "chat", reporter, {1, 2}, 0, testing::SampleDeployment().topology.nodes()[0].name, 1});
    return request;
  }
  // A peer that does nothing wrong is served.
  void ExpectHealthy() {
    v1::ReportOnceResponse response;
    const grpc::Status status = stub_->ReportOnce(Context().get(), Report("healthy"), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  static v1::ReportRequest Hello(const v1::ReportOnceRequest& request) {
    v1::ReportRequest hello;
    *hello.mutable_hello() = request.hello();
    return hello;
  }

  int stores_ = 0;
  std::unique_ptr<v1::ReportService::Stub> stub_;
};

TEST_F(HostileTest, AFloodOfResetStreamsIsSlowedAndLeavesNothing) {
  LimitOptions limits;
  limits.new_streams_per_second = 50;
  StartWith(limits);
  int slowed = 0;
  for (int i = 0; i < 1000; ++i) {
    const auto context = Context();
    const auto stream = stub_->Report(context.get());
    if (i % 10 == 0) {  // told so, where it listens
      v1::ReportResponse response;
      stream->Write(Hello(Report("flood")));
      stream->WritesDone();
      while (stream->Read(&response)) {
      }
      slowed += stream->Finish().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
    } else {
      context->TryCancel();
      stream->Finish().error_code();
    }
  }
  EXPECT_GT(slowed, 0);
  ExpectHealthy();
}

TEST_F(HostileTest, AMessageThatInflatesIsRefusedByItsRealSize) {
  v1::ReportOnceRequest bomb = Report("bomb");
  bomb.add_frames()->add_blocks()->mutable_counts()->set_data(std::string(64 << 20, '\0'));
  const auto context = Context();
  context->set_compression_algorithm(GRPC_COMPRESS_GZIP);
  v1::ReportOnceResponse response;
  const int64_t before = testing::ResidentBytes();
  EXPECT_THAT(stub_->ReportOnce(context.get(), bomb, &response),
              GrpcStatusIs(grpc::StatusCode::RESOURCE_EXHAUSTED, HasSubstr("4194304")));
  // Client and server are one process here: the bomb itself is in it, inflated once at most.
  EXPECT_LT(testing::ResidentBytes() - before, testing::kMemoryFactor * (160 << 20));
  ExpectHealthy();
}

TEST_F(HostileTest, StreamsThatSayNothingAreEnded) {
  LimitOptions limits;
  limits.hello_timeout_seconds = 1;
  StartWith(limits);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::ReportRequest, v1::ReportResponse>>>
      streams;
  for (int i = 0; i < 50; ++i) {
    contexts.push_back(Context());
    streams.push_back(stub_->Report(contexts.back().get()));
  }
  for (const auto& stream : streams) {
    v1::ReportResponse response;
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_THAT(stream->Finish(),
                GrpcStatusIs(grpc::StatusCode::DEADLINE_EXCEEDED, HasSubstr("NO_HELLO")));
  }
  ExpectHealthy();
}

// A socket to a server on loopback that has said `text`; reads on it end after a minute.
int Say(const std::string& address, const std::string& text) {
  const int peer = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval patience{60, 0};
  setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  if (connect(peer, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    ADD_FAILURE() << "cannot connect to " << address;
  }
  send(peer, text.data(), text.size(), MSG_NOSIGNAL);  // it may be cut off meanwhile
  return peer;
}

// Says `text` and then nothing: whether the server closes the connection, within a minute.
bool IsCutOff(const std::string& address, const std::string& text) {
  const int peer = Say(address, text);
  char buffer[4096];
  ssize_t got = 0;
  while ((got = read(peer, buffer, sizeof(buffer))) > 0) {
  }
  const bool cut_off = got == 0 || errno == ECONNRESET;
  close(peer);
  return cut_off;
}

std::string Http2Frame(char type, char flags, char stream, const std::string& payload) {
  const size_t size = payload.size();
  const char head[] = {static_cast<char>(size >> 16),
                       static_cast<char>(size >> 8),
                       static_cast<char>(size),
                       type,
                       flags,
                       0,
                       0,
                       0,
                       stream};
  return std::string(head, sizeof(head)) + payload;
}

const std::string kHttp2Begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + Http2Frame(4, 0, 0, "");

// Opens a Report stream and begins a message of 4 MB: what flow control lets through unasked.
std::string UnfinishedMessage() {
  std::string headers;
  for (const auto& [name, value] : {std::pair<std::string, std::string>{":method", "POST"},
                                    {":scheme", "http"},
                                    {":path", "/advisor.v1.ReportService/Report"},
                                    {":authority", "hostile"},
                                    {"content-type", "application/grpc"},
                                    {"te", "trailers"}}) {
    headers += '\0';  // a literal, not to be indexed
    headers += static_cast<char>(name.size()) + name;
    headers += static_cast<char>(value.size()) + value;
  }
  std::string text = kHttp2Begin + Http2Frame(1, 4, 1, headers);
  std::string body(65535, '\0');
  body[2] = 0x3f;  // of its 0x3f0000 bytes
  for (size_t at = 0; at < body.size(); at += 16384) {
    text += Http2Frame(0, 0, 1, body.substr(at, 16384));
  }
  return text;
}

// What is held for unfinished messages counts against limits.transport_mb; beyond it peers are sent
// away until it fits.
TEST_F(HostileTest, PeersThatFillTheTransportAreSentAway) {
  LimitOptions limits;
  limits.transport_megabytes = 4;
  StartWith(limits);
  std::vector<pollfd> peers;
  for (int i = 0; i < 200; ++i) {
    peers.push_back({Say(server_->grpc_address(), UnfinishedMessage()), POLLIN, 0});
  }
  bool sent_away = false;
  for (int round = 0; round < 100'000 && !sent_away; ++round) {
    ASSERT_GT(poll(peers.data(), peers.size(), 60'000), 0) << "all are held";
    for (pollfd& peer : peers) {
      char buffer[4096];
      const ssize_t got = peer.revents == 0 ? 0 : read(peer.fd, buffer, sizeof(buffer));
      sent_away = sent_away ||
                  (got > 0 && std::string(buffer, static_cast<size_t>(got)).find("Buffers full") !=
                                  std::string::npos);
      if (peer.revents != 0 && got <= 0) {
        close(peer.fd);
        peer.fd = -1;  // poll() passes it over
      }
    }
  }
  EXPECT_TRUE(sent_away);
  for (const pollfd& peer : peers) {
    if (peer.fd >= 0) {
      close(peer.fd);
    }
  }
  ExpectHealthy();
}

// The link is dead one way: nothing comes back, no end is seen.
TEST_F(HostileTest, APeerThatNeverAnswersPingsIsCutOff) {
  LimitOptions limits;
  limits.keepalive_seconds = limits.keepalive_timeout_seconds = 1;
  StartWith(limits);
  EXPECT_TRUE(IsCutOff(server_->grpc_address(), kHttp2Begin));
  ExpectHealthy();
}

TEST_F(HostileTest, AConnectionThatNeverBeginsIsCutOff) {
  LimitOptions limits;
  limits.hello_timeout_seconds = 1;
  StartWith(limits);
  for (const char* text : {"", "PRI * HTTP/2.0"}) {
    EXPECT_TRUE(IsCutOff(server_->grpc_address(), text)) << text;
  }
  ExpectHealthy();
}

// A key frame over all of `steps` steps.
Frame SumsOfSteps(uint64_t steps) {
  Frame frame;
  frame.key_frame = true;
  frame.seq_first = 1;
  frame.seq_last = frame.steps = frame.last_step = steps;
  return frame;
}

TEST_F(HostileTest, AReporterThatFloodsIsCutDownAndLosesNothing) {
  constexpr uint64_t kFrames = 2000;
  v1::ReportRequest request;
  v1::ReportResponse response;
  {
    const auto context = Context();
    const auto stream = stub_->Report(context.get());
    ASSERT_TRUE(stream->Write(Hello(Report("flood"))) && stream->Read(&response));
    for (uint64_t seq = 1; seq <= kFrames; ++seq) {
      Frame frame;
      frame.seq_first = frame.seq_last = seq;
      frame.steps = 1;
      frame.last_step = seq;
      *request.mutable_frame() = ToProto(std::move(frame));
      ASSERT_TRUE(stream->Write(request));
    }
    // It hears of the gap though nothing that shows it has come through, and acts on it too fast.
    while (stream->Read(&response) && !response.frame_ack().want_key_frame()) {
    }
    EXPECT_TRUE(response.frame_ack().want_key_frame());
    EXPECT_LT(response.frame_ack().acked_seq(), kFrames);
    *request.mutable_frame() = ToProto(SumsOfSteps(kFrames));
    for (int i = 0; i < 100 && stream->Write(request); ++i) {
    }
    while (stream->Read(&response)) {
    }
    EXPECT_THAT(stream->Finish(),
                GrpcStatusIs(grpc::StatusCode::RESOURCE_EXHAUSTED, HasSubstr("TOO_MANY_FRAMES")));
  }
  ExpectHealthy();
  // Back again, its sums cover everything.
  const auto context = Context();
  const auto stream = stub_->Report(context.get());
  ASSERT_TRUE(stream->Write(Hello(Report("flood"))) && stream->Read(&response));
  *request.mutable_frame() = ToProto(SumsOfSteps(kFrames));
  ASSERT_TRUE(stream->Write(request) && stream->Read(&response));
  EXPECT_EQ(response.frame_ack().acked_seq(), kFrames);
  context->TryCancel();
}

TEST(CardinalityTest, AMillionDomainNamesAreAFewSeries) {
  Machine engine = MakeEngineMachine();
  const Deployment deployment = testing::SampleDeployment();
  absl::Time now = absl::UnixEpoch();
  engine.step(event::Start{1}, now);
  engine.step(event::AddDeployment{deployment, {}, {}}, now);
  engine.step(
      event::ReporterOpened{
          StreamId(1),
          {deployment.name, "attacker", {1, 1}, 0, deployment.topology.nodes()[0].name, 1}},
      now);
  const int64_t before = testing::ResidentBytes();
  const size_t cells = static_cast<size_t>(deployment.model.moe_layers) * deployment.model.experts;
  uint64_t name = 0;
  for (uint64_t seq = 1; name < 1'000'000; ++seq) {
    Frame frame;
    frame.seq_first = frame.seq_last = seq;
    frame.steps = 1;
    frame.last_step = seq;
    for (int i = 0; i < 128; ++i) {
      frame.blocks.push_back({absl::StrCat("n", ++name),
                              Phase::kDecode,
                              0,
                              {1, false, std::string(cells, '\0')},
                              0,
                              0,
                              0});
    }
    engine.step(event::ReporterFrame{StreamId(1), std::move(frame)},
                now += absl::Milliseconds(100));
  }
  const std::string text = MetricsText(engine.status(), RuntimeStatus{});
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 1000);
  EXPECT_LT(testing::ResidentBytes() - before, testing::kMemoryFactor * (64 << 20));
}

}  // namespace
}  // namespace advisor::server
