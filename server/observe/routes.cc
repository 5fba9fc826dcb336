#include "server/observe/routes.h"

#include "absl/strings/str_cat.h"
#include "server/observe/metrics.h"
#include "server/observe/status_json.h"
#include "server/observe/status_page.h"

namespace advisor::server {

HttpResponse Route(const Observed& observed, const std::string& path) {
  if (path == "/") {
    return {200, "text/html; charset=utf-8", StatusPage()};
  }
  if (path != "/metrics" && path != "/healthz" && path != "/readyz" && path != "/api/v1/status") {
    return {404, "text/plain; charset=utf-8",
            "not here; see /, /api/v1/status, /metrics, /healthz, /readyz\n"};
  }
  const RuntimeStatus runtime = observed.runtime();
  if (path == "/readyz" && runtime.draining) {
    return {503, "text/plain; charset=utf-8", "draining\n"};
  }
  const auto engine = observed.engine();
  if (!engine.ok()) {
    return {503, "text/plain; charset=utf-8",
            absl::StrCat(std::string(engine.status().message()), "\n")};
  }
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", MetricsText(**engine, runtime)};
  }
  if (path == "/api/v1/status") {
    return {200, "application/json", StatusJson(**engine, runtime)};
  }
  // Still the place to report to and to subscribe at: a full disk must not restart the daemon.
  return {200, "text/plain; charset=utf-8",
          runtime.store_error.empty()
              ? "ok\n"
              : absl::StrCat("ok, but nothing is published: ", runtime.store_error, "\n")};
}

}  // namespace advisor::server
