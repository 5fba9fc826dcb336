#ifndef ADVISOR_CLIENT_AGENT_LOG_H_
#define ADVISOR_CLIENT_AGENT_LOG_H_

#include <spdlog/formatter.h>

#include <memory>
#include <string>

namespace advisor::client {

// The agent's log lines, as the daemon's:
//   ts=2026-01-01T00:00:00.000Z level=info deployment=chat msg="..."
// Quotes, backslashes and control characters of a message are escaped: one line each.
std::unique_ptr<spdlog::formatter> MakeLogFormatter(const std::string& deployment);

// spdlog's default logger writes such lines to stderr from here on.
void SetUpLog(const std::string& deployment);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_LOG_H_
