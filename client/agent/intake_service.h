#ifndef ADVISOR_CLIENT_AGENT_INTAKE_SERVICE_H_
#define ADVISOR_CLIENT_AGENT_INTAKE_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <string>

#include "client/agent/hub.h"

namespace advisor::client {

inline constexpr int kMaxIntakeStreams = 256;  // of Record, and as many of WatchPlan

// IntakeService on top of the hub, to be registered with a grpc::ServerBuilder; the hub must
// outlive the server.
std::unique_ptr<grpc::Service> MakeIntakeService(Hub* hub, std::string deployment,
                                                 std::string node);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_INTAKE_SERVICE_H_
