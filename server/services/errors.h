#ifndef ADVISOR_SERVER_SERVICES_ERRORS_H_
#define ADVISOR_SERVER_SERVICES_ERRORS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace advisor::server {

// Answers that several services give.

inline absl::Status DrainingError() {
  return absl::UnavailableError("DRAINING: the daemon stops; try again with backoff");
}
inline absl::Status OverloadedError() {
  return absl::ResourceExhaustedError(
      "OVERLOADED: the decision loop has too much waiting; try again with backoff");
}
inline absl::Status TooManyStreamsError() {
  return absl::ResourceExhaustedError("TOO_MANY_STREAMS: as many as allowed are open; try again");
}
inline absl::Status NoDeploymentError(const std::string& name) {
  return absl::NotFoundError(absl::StrCat("no deployment \"", name.substr(0, 128), "\""));
}

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_ERRORS_H_
