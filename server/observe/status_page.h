#ifndef ADVISOR_SERVER_OBSERVE_STATUS_PAGE_H_
#define ADVISOR_SERVER_OBSERVE_STATUS_PAGE_H_

#include <string>

namespace advisor::server {

// GET /: one self-contained page that renders /api/v1/status and refreshes itself.
const std::string& StatusPage();

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_STATUS_PAGE_H_
