#include "client/agent/metrics.h"

#include <civetweb.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace advisor::client {
namespace {

using prometheus::MetricType;

void Add(const char* name, const char* help, MetricType type, double value,
         std::vector<prometheus::MetricFamily>* families) {
  prometheus::ClientMetric metric;
  metric.counter.value = metric.gauge.value = value;
  prometheus::MetricFamily family;
  family.name = absl::StrCat("moe_advisor_agent_", name);
  family.help = help;
  family.type = type;
  family.metric.push_back(std::move(metric));
  families->push_back(std::move(family));
}

void Reply(mg_connection* connection, int code, const char* reason, const std::string& body) {
  const std::string head = absl::StrFormat(
      "HTTP/1.1 %d %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
      "Content-Length: %d\r\nConnection: close\r\n\r\n",
      code, reason, body.size());
  mg_write(connection, head.data(), head.size());
  mg_write(connection, body.data(), body.size());
}

int IgnoreLog(const mg_connection*, const char*) { return 1; }

}  // namespace

std::string MetricsText(const AgentStatus& status) {
  std::vector<prometheus::MetricFamily> families;
  auto counter = [&](const char* name, const char* help, uint64_t value) {
    Add(name, help, MetricType::Counter, static_cast<double>(value), &families);
  };
  auto gauge = [&](const char* name, const char* help, double value) {
    Add(name, help, MetricType::Gauge, value, &families);
  };
  counter("steps_total", "Engine steps counted.", status.steps);
  counter("tokens_total", "Tokens counted.", status.tokens);
  counter("lost_steps_total", "Engine steps that were lost before they could be counted.",
          status.lost_steps);
  counter("refused_steps_total", "Malformed engine steps, of which nothing was counted.",
          status.refused_steps);
  counter("frames_total", "Frames made for the daemon.", status.frames);
  counter("rejected_blocks_total", "Blocks that the daemon did not count.", status.rejected_blocks);
  gauge("reporting", "1 while the report stream is open.", status.reporting);
  gauge("subscribed", "1 while the plan stream is open.", status.subscribed);
  gauge("engines_watching", "Engines that watch plans.", status.watchers);
  gauge("plan_epoch", "Epoch of the plan in force on this node; 0: none.",
        static_cast<double>(status.in_force.epoch));
  gauge("plan_revision", "Revision of the plan in force on this node; 0: none.",
        static_cast<double>(status.in_force.revision));
  return prometheus::TextSerializer().Serialize(families);
}

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(
    const std::string& listen, std::function<AgentStatus()> status) {
  std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(status)));
  const char* options[] = {"listening_ports",    listen.c_str(), "num_threads", "2",
                           "request_timeout_ms", "10000",        nullptr};
  mg_callbacks callbacks = {};
  callbacks.log_message = IgnoreLog;
  server->context_ = mg_start(&callbacks, server.get(), options);
  mg_server_port port = {};
  if (server->context_ == nullptr || mg_get_server_ports(server->context_, 1, &port) != 1) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", listen,
                                               "; stop what has the port or give another --http"));
  }
  server->port_ = port.port;
  mg_set_request_handler(server->context_, "/", OnRequest, server.get());
  return server;
}

MetricsServer::~MetricsServer() {
  if (context_ != nullptr) {
    mg_stop(context_);
  }
}

int MetricsServer::OnRequest(mg_connection* connection, void* self) {
  const std::string path = mg_get_request_info(connection)->local_uri;
  if (path == "/metrics") {
    Reply(connection, 200, "OK", MetricsText(static_cast<MetricsServer*>(self)->status_()));
  } else if (path == "/healthz") {
    Reply(connection, 200, "OK", "ok\n");
  } else {
    Reply(connection, 404, "Not Found", "/metrics and /healthz are served here\n");
  }
  return 200;
}

}  // namespace advisor::client
