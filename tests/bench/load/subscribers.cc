#include "tests/bench/load/subscribers.h"

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <future>
#include <iostream>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "proto/convert/limits.h"
#include "proto/convert/plan.h"

namespace advisor::bench {
namespace {

constexpr double kPatience = 120;  // seconds; far beyond any figure of interest

std::shared_ptr<grpc::Channel> Connect(const std::string& address, int number) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("connection", number);  // channels of equal arguments share one
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

struct Subscribers::Shared {
  std::mutex mutex;
  std::condition_variable change;
  int answered = 0, ended = 0;
  bool stopping = false;
  std::vector<Time> received;  // since the last push began
};

class Subscribers::Stream final
    : public grpc::ClientBidiReactor<v1::SubscribeRequest, v1::SubscribeResponse> {
 public:
  Stream(const std::shared_ptr<grpc::Channel>& channel, const std::string& id, Shared* shared)
      : stub_(v1::PlanService::NewStub(channel)), shared_(shared) {
    SubscriberHello hello;
    hello.deployment = "bench";
    hello.subscriber_id = id;
    hello.incarnation = {1, 1};
    *request_.mutable_hello() = ToProto(hello);
    writing_ = true;
    stub_->async()->Subscribe(&context_, this);
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }
  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      return;
    }
    if (response_.has_placement()) {
      const Time now = Now();
      {
        std::lock_guard<std::mutex> lock(mutex_);
        to_ack_ = response_.placement().position();
        AckIfIdle();
      }
      std::lock_guard<std::mutex> lock(shared_->mutex);
      shared_->received.push_back(now);
      shared_->change.notify_all();
    }
    if (!answered_) {
      answered_ = true;
      std::lock_guard<std::mutex> lock(shared_->mutex);
      ++shared_->answered;
      shared_->change.notify_all();
    }
    StartRead(&response_);
  }
  void OnWriteDone(bool) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    AckIfIdle();
  }
  void OnDone(const grpc::Status& status) override {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    if (!shared_->stopping) {
      Die(absl::StrCat("a subscriber's stream ended: ", status.error_message()));
    }
    ++shared_->ended;
    shared_->change.notify_all();
  }

 private:
  void AckIfIdle() {
    if (writing_ || !to_ack_.has_value()) {
      return;
    }
    request_.Clear();
    request_.mutable_ack()->set_subject(v1::Ack::SUBJECT_PLACEMENT);
    request_.mutable_ack()->set_phase(v1::Ack::RECEIVED);
    *request_.mutable_ack()->mutable_position() = *std::exchange(to_ack_, std::nullopt);
    writing_ = true;
    StartWrite(&request_);
  }

  const std::unique_ptr<v1::PlanService::Stub> stub_;
  Shared* const shared_;
  grpc::ClientContext context_;
  v1::SubscribeResponse response_;
  bool answered_ = false;
  std::mutex mutex_;
  v1::SubscribeRequest request_;  // guarded by mutex_, like all below
  std::optional<v1::Position> to_ack_;
  bool writing_ = false;
};

Subscribers::Subscribers(const std::string& address, int count, int per_connection,
                         const std::string& prefix)
    : address_(address), shared_(std::make_unique<Shared>()) {
  std::shared_ptr<grpc::Channel> channel;
  for (int i = 0; i < count; ++i) {
    if (i % per_connection == 0) {
      channel = Connect(address, i);
    }
    streams_.push_back(std::make_unique<Stream>(channel, absl::StrCat(prefix, i), shared_.get()));
  }
  std::unique_lock<std::mutex> lock(shared_->mutex);
  if (!shared_->change.wait_for(lock, std::chrono::duration<double>(kPatience),
                                [&] { return shared_->answered == count; })) {
    Die(absl::StrCat("only ", shared_->answered, " of ", count, " subscribers were answered"));
  }
}

Subscribers::~Subscribers() {
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->stopping = true;
  }
  for (const auto& stream : streams_) {
    stream->Cancel();
  }
  std::unique_lock<std::mutex> lock(shared_->mutex);
  shared_->change.wait(lock, [&] { return shared_->ended == static_cast<int>(streams_.size()); });
}

std::vector<double> Subscribers::Push() {
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->received.clear();
  }
  grpc::ClientContext context;
  v1::RollbackRequest request;
  request.set_deployment("bench");
  v1::RollbackResponse response;
  const auto admin = v1::AdminService::NewStub(Connect(address_, -1));
  const Time begin = Now();
  if (const grpc::Status status = admin->Rollback(&context, request, &response); !status.ok()) {
    Die(absl::StrCat("no push: ", status.error_message()));
  }
  std::unique_lock<std::mutex> lock(shared_->mutex);
  if (!shared_->change.wait_for(lock, std::chrono::duration<double>(kPatience),
                                [&] { return shared_->received.size() == streams_.size(); })) {
    Die(absl::StrCat("a push reached only ", shared_->received.size()));
  }
  std::vector<double> seconds;
  for (const Time at : shared_->received) {
    seconds.push_back(Seconds(begin, at));
  }
  return seconds;
}

int HoldSubscribers(const std::string& address, int count) {
  const Subscribers held(address, count, 1, "held-");
  std::cout << "held: grpc=" << address << " " << std::endl;
  std::promise<void>().get_future().wait();
  return 0;
}

}  // namespace advisor::bench
