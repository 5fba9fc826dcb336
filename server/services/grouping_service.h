#ifndef ADVISOR_SERVER_SERVICES_GROUPING_SERVICE_H_
#define ADVISOR_SERVER_SERVICES_GROUPING_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <memory>

#include "server/access/door.h"
#include "server/services/assigners.h"

namespace advisor::server {

// All must outlive the service.
std::unique_ptr<grpc::Service> MakeGroupingService(const Assigners& assigners, const Door& door,
                                                   const std::atomic<bool>& draining);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_GROUPING_SERVICE_H_
