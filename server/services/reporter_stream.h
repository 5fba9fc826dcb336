#ifndef ADVISOR_SERVER_SERVICES_REPORTER_STREAM_H_
#define ADVISOR_SERVER_SERVICES_REPORTER_STREAM_H_

#include <variant>

#include "absl/status/status.h"
#include "core/session/messages.h"

namespace advisor::server {

// Where the engine's answers to one reporter go. Thread-safe.
class ReporterStream {
 public:
  virtual ~ReporterStream() = default;
  virtual void Send(const std::variant<HelloAck, FrameAck>& message) = 0;
  virtual void End(const absl::Status& status) = 0;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_REPORTER_STREAM_H_
