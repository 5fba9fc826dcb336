#ifndef ADVISOR_SERVER_SERVICES_PLAN_SERVICE_H_
#define ADVISOR_SERVER_SERVICES_PLAN_SERVICE_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <memory>

#include "server/access/door.h"
#include "server/runtime/clock.h"
#include "server/runtime/engine_loop.h"
#include "server/runtime/plan_publisher.h"
#include "server/runtime/stream_table.h"

namespace advisor::server {

// Subscribers share one serialized body per plan.
using SubscriberPublisher = PlanPublisher<grpc::ByteBuffer>;
grpc::ByteBuffer EncodeSubscribeResponse(const SubscriberMessage& message);

// What subscribers' streams are connected to; must outlive the service.
struct PlanServiceContext {
  EngineLoop& loop;
  const Clock& clock;
  StreamIds& ids;
  Door door;
  SubscriberPublisher& publisher;
  const std::atomic<bool>& draining;
};

std::unique_ptr<grpc::Service> MakePlanService(PlanServiceContext context);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_PLAN_SERVICE_H_
