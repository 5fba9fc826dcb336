#include "client/agent/intake_service.h"

#include <spdlog/spdlog.h>

#include <atomic>
#include <mutex>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "advisor/v1/intake.grpc.pb.h"
#include "client/agent/step_message.h"
#include "proto/convert/model.h"
#include "proto/convert/plan.h"
#include "proto/convert/status.h"

namespace advisor::client {
namespace {

grpc::Status Stopping() {
  return {grpc::StatusCode::UNAVAILABLE, "the agent stops; connect again with backoff"};
}

grpc::Status TooManyStreams(const char* method) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          absl::StrFormat("%d %s streams are open, the most allowed; keep one per engine process",
                          kMaxIntakeStreams, method)};
}

// Reads the steps of one engine process.
class RecordReactor final : public grpc::ServerReadReactor<v1::RecordRequest> {
 public:
  RecordReactor(Hub* hub, std::atomic<int>* streams, v1::RecordResponse* response)
      : hub_(hub), streams_(streams), response_(response) {
    if (++*streams_ > kMaxIntakeStreams) {
      Finish(TooManyStreams("Record"));
    } else {
      StartRead(&request_);
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);  // half-closed; after a cancellation nobody reads it
      return;
    }
    if (hub_->stopping()) {
      Finish(Stopping());
      return;
    }
    hub_->SetLostSteps(request_.client(), request_.lost_steps(), request_.acked_lost_steps());
    response_->set_lost_steps(request_.lost_steps());
    if (absl::Status status = request_.no_step() ? absl::OkStatus() : Record(); !status.ok()) {
      spdlog::warn("engine's step refused: {}", std::string(status.message()));
      Finish(ToGrpc(status));
      return;
    }
    StartRead(&request_);
  }

  void OnDone() override {
    --*streams_;
    delete this;
  }

 private:
  absl::Status Record() {
    absl::StatusOr<Step> step = reader_.Read(&request_);
    absl::Status status = step.ok() ? hub_->Record(*step) : step.status();
    if (status.ok()) {
      response_->set_steps(response_->steps() + step->merged_steps);
    }
    return status;
  }

  Hub* const hub_;
  std::atomic<int>* const streams_;
  v1::RecordResponse* const response_;
  v1::RecordRequest request_;
  StepReader reader_;
};

// Tells one engine process about plans. Kept alive by itself until gRPC is done with it, and by
// whoever is just announcing a change.
class WatchReactor final : public grpc::ServerWriteReactor<v1::WatchPlanResponse>,
                           public PlanListener {
 public:
  static grpc::ServerWriteReactor<v1::WatchPlanResponse>* Start(Hub* hub, std::atomic<int>* streams,
                                                                const v1::EngineInfo& identity,
                                                                Position have) {
    auto self = std::make_shared<WatchReactor>(hub, streams, identity, have);
    self->self_ = self;
    if (++*streams > kMaxIntakeStreams) {
      self->Finish(TooManyStreams("WatchPlan"));
      return self.get();
    }
    hub->AddListener(self);
    if (hub->stopping()) {
      self->OnStop();
    } else {
      self->OnPlanChange();
    }
    return self.get();
  }

  WatchReactor(Hub* hub, std::atomic<int>* streams, v1::EngineInfo identity, Position have)
      : hub_(hub), streams_(streams), identity_(std::move(identity)), watch_(have) {}

  void OnPlanChange() override {
    std::lock_guard lock(mutex_);
    WriteNext();
  }
  void OnStop() override {
    std::lock_guard lock(mutex_);
    FinishOnce(Stopping());
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (ok) {
      WriteNext();
    } else {
      FinishOnce(grpc::Status::CANCELLED);
    }
  }
  void OnCancel() override {
    std::lock_guard lock(mutex_);
    FinishOnce(grpc::Status::CANCELLED);
  }
  void OnDone() override {
    --*streams_;
    hub_->RemoveListener(this);
    const std::shared_ptr<WatchReactor> last = std::move(self_);
  }

 private:
  // The next message, if there is one and none is under way. StartWrite only queues, so holding the
  // lock is short.
  void WriteNext() {
    if (writing_ || finished_ || !FillNext()) {
      return;
    }
    writing_ = true;
    StartWrite(&response_);
  }

  bool FillNext() {
    const DeploymentInfo info = hub_->Info();
    response_.Clear();
    if (!told_info_ ||
        (info.known && !(info.model == told_.model && info.topology == told_.topology))) {
      told_info_ = true;
      told_ = info;
      v1::EngineInfo& out = *response_.mutable_info();
      out = identity_;
      if (info.known) {
        out.set_node_index(info.node_index);
        *out.mutable_model() = ToProto(info.model);
        *out.mutable_topology() = ToProto(info.topology);
      }
      return true;
    }
    std::optional<Watch::Message> message = hub_->NextFor(&watch_);
    if (!message) {
      return false;
    }
    if (auto* placement = std::get_if<PlacementUpdate>(&*message)) {
      *response_.mutable_placement() = ToProto(*placement);
    } else if (auto* grouping = std::get_if<GroupingUpdate>(&*message)) {
      *response_.mutable_grouping() = ToProto(*grouping);
    } else {
      *response_.mutable_decision() = ToProto(std::get<RolloutDecision>(*message));
    }
    return true;
  }

  void FinishOnce(const grpc::Status& status) {
    if (!finished_) {
      finished_ = true;
      Finish(status);
    }
  }

  Hub* const hub_;
  std::atomic<int>* const streams_;
  const v1::EngineInfo identity_;
  std::shared_ptr<WatchReactor> self_;

  std::mutex mutex_;
  Watch watch_;
  bool told_info_ = false, writing_ = false, finished_ = false;
  DeploymentInfo told_;
  v1::WatchPlanResponse response_;
};

class IntakeService final : public v1::IntakeService::CallbackService {
 public:
  IntakeService(Hub* hub, std::string deployment, std::string node) : hub_(hub) {
    identity_.set_deployment(std::move(deployment));
    identity_.set_node(std::move(node));
  }

  grpc::ServerReadReactor<v1::RecordRequest>* Record(grpc::CallbackServerContext*,
                                                     v1::RecordResponse* response) override {
    return new RecordReactor(hub_, &record_streams_, response);
  }
  grpc::ServerWriteReactor<v1::WatchPlanResponse>* WatchPlan(
      grpc::CallbackServerContext*, const v1::WatchPlanRequest* request) override {
    return WatchReactor::Start(hub_, &watch_streams_, identity_, FromProto(request->have()));
  }
  grpc::ServerUnaryReactor* ConfirmPlan(grpc::CallbackServerContext* context,
                                        const v1::ConfirmPlanRequest* request,
                                        v1::ConfirmPlanResponse*) override {
    const absl::StatusOr<PlanAck> ack = FromProto(request->ack());
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(ack.ok() ? hub_->Confirm(*ack) : ack.status()));
    return reactor;
  }

 private:
  Hub* const hub_;
  v1::EngineInfo identity_;
  std::atomic<int> record_streams_ = 0, watch_streams_ = 0;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeIntakeService(Hub* hub, std::string deployment,
                                                 std::string node) {
  return std::make_unique<IntakeService>(hub, std::move(deployment), std::move(node));
}

}  // namespace advisor::client
