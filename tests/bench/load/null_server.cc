#include "tests/bench/load/null_server.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "advisor/v1/admin.grpc.pb.h"
#include "advisor/v1/grouping.grpc.pb.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"
#include "proto/convert/plan.h"
#include "tests/bench/load/bench.h"

namespace advisor::bench {
namespace {

constexpr int kAckEvery = 4;  // the daemon's default

class NullReport final : public grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse> {
 public:
  NullReport() { StartRead(&request_); }
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    const uint64_t seq = request_.frame().seq_last();
    if (request_.has_hello() || (request_.has_frame() && seq % kAckEvery == 0)) {
      std::lock_guard<std::mutex> lock(mutex_);
      wanted_ = true;
      acked_ = seq;
      WriteIfIdle();
    }
    StartRead(&request_);
  }
  void OnWriteDone(bool) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    WriteIfIdle();
  }
  void OnDone() override { delete this; }

 private:
  void WriteIfIdle() {
    if (!wanted_ || writing_) {
      return;
    }
    wanted_ = false;
    writing_ = true;
    if (acked_ == 0) {
      response_.mutable_hello_ack()->set_credits(8);
    } else {
      response_.mutable_frame_ack()->set_acked_seq(acked_);
    }
    StartWrite(&response_);
  }

  v1::ReportRequest request_;
  std::mutex mutex_;
  v1::ReportResponse response_;  // guarded by mutex_, like all below
  uint64_t acked_ = 0;
  bool wanted_ = false, writing_ = false;
};

class NullReportService final : public v1::ReportService::CallbackService {
  grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse>* Report(
      grpc::CallbackServerContext*) override {
    return new NullReport();
  }
};

grpc::ByteBuffer Encode(const v1::SubscribeResponse& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  grpc::SerializationTraits<v1::SubscribeResponse>::Serialize(message, &bytes, &own);
  return bytes;
}

class NullSubscribe;
struct Audience {
  std::mutex mutex;
  std::set<NullSubscribe*> streams;
  uint64_t revision = 0;
};

class NullSubscribe final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit NullSubscribe(Audience* audience) : audience_(audience) {
    {
      std::lock_guard<std::mutex> lock(audience_->mutex);
      audience_->streams.insert(this);
    }
    StartRead(&bytes_);
  }
  void Send(grpc::ByteBuffer message) {
    std::lock_guard<std::mutex> lock(mutex_);
    next_ = std::move(message);
    WriteIfIdle();
  }
  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    v1::SubscribeRequest request;
    grpc::SerializationTraits<v1::SubscribeRequest>::Deserialize(&bytes_, &request);
    if (request.has_hello()) {
      v1::SubscribeResponse response;
      response.mutable_up_to_date();
      Send(Encode(response));
    }
    StartRead(&bytes_);
  }
  void OnWriteDone(bool) override {
    std::lock_guard<std::mutex> lock(mutex_);
    writing_ = false;
    WriteIfIdle();
  }
  void OnDone() override {
    {
      std::lock_guard<std::mutex> lock(audience_->mutex);
      audience_->streams.erase(this);
    }
    delete this;
  }

 private:
  void WriteIfIdle() {
    if (writing_ || !next_.has_value()) {
      return;
    }
    writing_ = true;
    in_flight_ = *std::exchange(next_, std::nullopt);
    StartWrite(&in_flight_);
  }

  Audience* const audience_;
  grpc::ByteBuffer bytes_;
  std::mutex mutex_;
  std::optional<grpc::ByteBuffer> next_;  // guarded by mutex_, like all below
  grpc::ByteBuffer in_flight_;
  bool writing_ = false;
};

class NullPlanService final
    : public v1::PlanService::WithRawCallbackMethod_Subscribe<v1::PlanService::Service> {
 public:
  explicit NullPlanService(Audience* audience) : audience_(audience) {}

 private:
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Subscribe(
      grpc::CallbackServerContext*) override {
    return new NullSubscribe(audience_);
  }
  Audience* const audience_;
};

class NullAdminService final : public v1::AdminService::CallbackService {
 public:
  explicit NullAdminService(Audience* audience) : audience_(audience) {
    const Deployment deployment = BenchDeployment();
    plan_.model = deployment.model;
    plan_.topology = deployment.topology;
    plan_.placement = LinearPlacement(plan_.model, plan_.topology);
  }

 private:
  grpc::ServerUnaryReactor* Rollback(grpc::CallbackServerContext* context,
                                     const v1::RollbackRequest*, v1::RollbackResponse*) override {
    std::lock_guard<std::mutex> lock(audience_->mutex);
    plan_.position = {1, ++audience_->revision};
    PlacementUpdate update;
    update.plan = std::make_shared<const Plan>(plan_);
    const grpc::ByteBuffer bytes = Encode(ToProto(SubscriberMessage(update)));
    for (NullSubscribe* stream : audience_->streams) {
      stream->Send(bytes);
    }
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  Audience* const audience_;
  Plan plan_;
};

class NullGroupingService final : public v1::GroupingService::CallbackService {
  grpc::ServerUnaryReactor* Assign(grpc::CallbackServerContext* context, const v1::AssignRequest*,
                                   v1::AssignResponse* response) override {
    response->set_name("node-0");
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

}  // namespace

int ServeNull() {
  Audience audience;
  NullReportService reports;
  NullPlanService plans(&audience);
  NullAdminService admin(&audience);
  NullGroupingService grouping;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  for (grpc::Service* service :
       std::initializer_list<grpc::Service*>{&reports, &plans, &admin, &grouping}) {
    builder.RegisterService(service);
  }
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  std::cout << "null: listening grpc=127.0.0.1:" << port << " http=" << std::endl;
  server->Wait();
  return 0;
}

}  // namespace advisor::bench
