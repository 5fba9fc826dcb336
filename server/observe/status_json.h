#ifndef ADVISOR_SERVER_OBSERVE_STATUS_JSON_H_
#define ADVISOR_SERVER_OBSERVE_STATUS_JSON_H_

#include <string>

#include "core/engine/status.h"
#include "server/observe/runtime_status.h"

namespace advisor::server {

// GET /api/v1/status: the daemon, its deployments with reporters, subscribers, domains, decisions
// and plans (without bodies). Keys are those of the messages in proto/advisor/v1/admin.proto.
std::string StatusJson(const EngineStatus& engine, const RuntimeStatus& runtime);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_STATUS_JSON_H_
