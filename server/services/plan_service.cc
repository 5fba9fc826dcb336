#include "server/services/plan_service.h"

#include <utility>

#include "advisor/v1/plan.grpc.pb.h"
#include "core/base/status_macros.h"
#include "proto/convert/plan.h"
#include "proto/convert/status.h"
#include "server/services/errors.h"
#include "server/services/stream_reactor.h"

namespace advisor::server {
namespace {

class SubscribeReactor final : public StreamReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  SubscribeReactor(grpc::CallbackServerContext* context, const PlanServiceContext& service)
      : StreamReactor(context, service.clock, service.door, service.ids.Next()),
        service_(service) {}

 private:
  absl::Status OnMessage(grpc::ByteBuffer& bytes) override {
    v1::SubscribeRequest request;
    const grpc::Status parsed =
        grpc::SerializationTraits<v1::SubscribeRequest>::Deserialize(&bytes, &request);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError("message is no SubscribeRequest");
    }
    switch (request.message_case()) {
      case v1::SubscribeRequest::kHello:
        return OnHello(request.hello());
      case v1::SubscribeRequest::kAck: {
        if (!opened_) {
          return absl::InvalidArgumentError("the first message must be a SubscribeHello");
        }
        ASSIGN_OR_RETURN(PlanAck ack, FromProto(request.ack()));
        return service_.loop.Post(event::SubscriberAcked{id(), std::move(ack)}) ? absl::OkStatus()
                                                                                : OverloadedError();
      }
      default:
        return absl::InvalidArgumentError("message is empty, must be a hello or an ack");
    }
  }

  absl::Status OnHello(const v1::SubscribeHello& message) {
    if (opened_) {
      return absl::InvalidArgumentError("a second hello on one stream; open another stream");
    }
    ASSIGN_OR_RETURN(SubscriberHello hello, FromProto(message));
    RETURN_IF_ERROR(Admit(Right::kSubscriber, hello.deployment, hello.subscriber_id));
    if (!service_.publisher.streams().Add(id(), outbox())) {
      return TooManyStreamsError();
    }
    if (service_.draining) {  // checked when added: a drain ends what it finds, then this sees it
      service_.publisher.streams().Remove(id());
      return DrainingError();
    }
    if (!service_.loop.Post(event::SubscriberOpened{id(), std::move(hello)})) {
      service_.publisher.streams().Remove(id());
      return OverloadedError();
    }
    opened_ = true;
    return absl::OkStatus();
  }

  void OnClosed() override {
    if (opened_) {
      service_.publisher.streams().Remove(id());
      service_.loop.Post(event::SubscriberClosed{id()});
    }
  }

  const PlanServiceContext& service_;
  bool opened_ = false;
};

class PlanService final
    : public v1::PlanService::WithRawCallbackMethod_Subscribe<v1::PlanService::Service> {
 public:
  explicit PlanService(PlanServiceContext context) : context_(context) {}

 private:
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Subscribe(
      grpc::CallbackServerContext* context) override {
    auto* reactor = new SubscribeReactor(context, context_);
    reactor->Begin();
    return reactor;
  }

  const PlanServiceContext context_;
};

}  // namespace

grpc::ByteBuffer EncodeSubscribeResponse(const SubscriberMessage& message) {
  grpc::ByteBuffer bytes;
  bool own = false;
  // Serializing a message of ours into memory cannot fail.
  grpc::SerializationTraits<v1::SubscribeResponse>::Serialize(ToProto(message), &bytes, &own);
  return bytes;
}

std::unique_ptr<grpc::Service> MakePlanService(PlanServiceContext context) {
  return std::make_unique<PlanService>(context);
}

}  // namespace advisor::server
