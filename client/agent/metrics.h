#ifndef ADVISOR_CLIENT_AGENT_METRICS_H_
#define ADVISOR_CLIENT_AGENT_METRICS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/agent/hub.h"

struct mg_connection;
struct mg_context;

namespace advisor::client {

// The agent's metrics in Prometheus' text format.
std::string MetricsText(const AgentStatus& status);

// Plain HTTP of the agent: /metrics, and /healthz (200 for as long as the agent runs: it is meant
// to run on without a daemon).
class MetricsServer {
 public:
  // `listen` is HOST:PORT, port 0: any. UNAVAILABLE: it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const std::string& listen,
                                                              std::function<AgentStatus()> status);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  int port() const { return port_; }

 private:
  explicit MetricsServer(std::function<AgentStatus()> status) : status_(std::move(status)) {}
  static int OnRequest(mg_connection* connection, void* self);

  const std::function<AgentStatus()> status_;
  mg_context* context_ = nullptr;
  int port_ = 0;
};

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_METRICS_H_
