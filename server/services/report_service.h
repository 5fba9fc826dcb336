#ifndef ADVISOR_SERVER_SERVICES_REPORT_SERVICE_H_
#define ADVISOR_SERVER_SERVICES_REPORT_SERVICE_H_

#include <grpcpp/impl/service_type.h>

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "server/access/door.h"
#include "server/runtime/clock.h"
#include "server/runtime/engine_loop.h"
#include "server/runtime/stream_table.h"
#include "server/services/reporter_stream.h"

namespace advisor::server {

// What reporters' streams are connected to; must outlive the service.
struct ReportServiceContext {
  EngineLoop& loop;
  const Clock& clock;
  StreamIds& ids;
  Door door;
  std::map<std::string, absl::Duration> min_intervals;  // between frames, by deployment
  StreamTable<ReporterStream>& streams;
  const std::atomic<bool>& draining;
};

std::unique_ptr<grpc::Service> MakeReportService(ReportServiceContext context);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_REPORT_SERVICE_H_
