#ifndef ADVISOR_SERVER_OBSERVE_METRICS_H_
#define ADVISOR_SERVER_OBSERVE_METRICS_H_

#include <string>

#include "core/engine/status.h"
#include "server/observe/runtime_status.h"

namespace advisor::server {

// All metrics in Prometheus' text format. Labels are bounded: deployments, at most 65 domains each,
// and enums; never an expert, layer, node or peer.
std::string MetricsText(const EngineStatus& engine, const RuntimeStatus& runtime);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_METRICS_H_
