#ifndef ADVISOR_TESTS_CLIENT_AGENT_FAKE_DAEMON_H_
#define ADVISOR_TESTS_CLIENT_AGENT_FAKE_DAEMON_H_

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "advisor/v1/plan.grpc.pb.h"
#include "advisor/v1/report.grpc.pb.h"

namespace advisor::client::testing {

using ReportServerStream = grpc::ServerReaderWriter<v1::ReportResponse, v1::ReportRequest>;
using PlanServerStream = grpc::ServerReaderWriter<v1::SubscribeResponse, v1::SubscribeRequest>;

// A daemon whose answers a test scripts: a function per stream, with the number of the stream (from
// 1).
class FakeDaemon {
 public:
  using ReportScript = std::function<grpc::Status(int stream, ReportServerStream*)>;
  using PlanScript = std::function<grpc::Status(int stream, PlanServerStream*)>;

  FakeDaemon(ReportScript report, PlanScript plans)
      : reports_(std::move(report)), plans_(std::move(plans)) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&reports_);
    builder.RegisterService(&plans_);
    server_ = builder.BuildAndStart();
  }
  ~FakeDaemon() { server_->Shutdown(std::chrono::system_clock::now()); }

  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel({}); }

 private:
  struct Reports final : v1::ReportService::Service {
    explicit Reports(ReportScript s) : script(std::move(s)) {}
    grpc::Status Report(grpc::ServerContext*, ReportServerStream* stream) override {
      return script(++streams, stream);
    }
    ReportScript script;
    std::atomic<int> streams = 0;
  };
  struct Plans final : v1::PlanService::Service {
    explicit Plans(PlanScript s) : script(std::move(s)) {}
    grpc::Status Subscribe(grpc::ServerContext*, PlanServerStream* stream) override {
      return script(++streams, stream);
    }
    PlanScript script;
    std::atomic<int> streams = 0;
  };
  Reports reports_;
  Plans plans_;
  std::unique_ptr<grpc::Server> server_;
};

// A stream that nobody has a script for: read to its end.
inline grpc::Status IgnoreReports(int, ReportServerStream* stream) {
  v1::ReportRequest request;
  while (stream->Read(&request)) {
  }
  return grpc::Status::OK;
}
inline grpc::Status IgnorePlans(int, PlanServerStream* stream) {
  v1::SubscribeRequest request;
  while (stream->Read(&request)) {
  }
  return grpc::Status::OK;
}

// Passes values from scripts to the test.
template <typename T>
class Box {
 public:
  void Put(T value) {
    std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    change_.notify_all();
  }
  // The next value; a default one when none comes within a time that only a hang exceeds.
  T Take() {
    std::unique_lock lock(mutex_);
    if (!change_.wait_for(lock, std::chrono::seconds(20), [&] { return next_ < values_.size(); })) {
      return T();
    }
    return values_[next_++];
  }

 private:
  std::mutex mutex_;
  std::condition_variable change_;
  std::vector<T> values_;
  size_t next_ = 0;
};

}  // namespace advisor::client::testing

#endif  // ADVISOR_TESTS_CLIENT_AGENT_FAKE_DAEMON_H_
