#ifndef ADVISOR_SERVER_OBSERVE_ROUTES_H_
#define ADVISOR_SERVER_OBSERVE_ROUTES_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/engine/status.h"
#include "server/observe/http_server.h"
#include "server/observe/runtime_status.h"

namespace advisor::server {

// Where the HTTP side gets its facts. Thread-safe.
struct Observed {
  std::function<absl::StatusOr<std::shared_ptr<const EngineStatus>>()> engine;
  std::function<RuntimeStatus()> runtime;
};

// /metrics, /healthz (the decision loop answers), /readyz (and the daemon takes calls), / and
// /api/v1/status. 503 where the loop does not answer.
HttpResponse Route(const Observed& observed, const std::string& path);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_ROUTES_H_
