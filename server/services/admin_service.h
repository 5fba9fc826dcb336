#ifndef ADVISOR_SERVER_SERVICES_ADMIN_SERVICE_H_
#define ADVISOR_SERVER_SERVICES_ADMIN_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <memory>

#include "server/access/door.h"
#include "server/runtime/clock.h"
#include "server/runtime/commands.h"
#include "server/runtime/engine_loop.h"
#include "server/runtime/task_thread.h"

namespace advisor::server {

// Must outlive the service.
struct AdminServiceContext {
  EngineLoop& loop;
  const Clock& clock;
  Commands& commands;
  Door door;
  TaskThread& readers;  // where reading calls are answered
  const std::atomic<bool>& draining;
  absl::Time started;
};

// Reading calls take the engine's state from its thread and are answered on `readers`, so that
// neither the engine nor gRPC waits for a plan to be written as JSON. Commands are answered from
// the engine's thread. Every command is a line in the log, with who asked and what came of it.
std::unique_ptr<grpc::Service> MakeAdminService(AdminServiceContext context);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_ADMIN_SERVICE_H_
