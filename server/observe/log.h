#ifndef ADVISOR_SERVER_OBSERVE_LOG_H_
#define ADVISOR_SERVER_OBSERVE_LOG_H_

#include <string>

namespace advisor::server {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

// Lines on stderr, each an event: ts=2026-01-01T00:00:00.000Z level=info deployment=chat msg="...".
// Thread-safe.
void SetLogLevel(LogLevel lowest);
// `deployment` may be empty: the daemon itself.
void Log(LogLevel level, const std::string& deployment, const std::string& message);

// `text` in double quotes, with quotes, backslashes and control characters escaped: one line.
std::string Quoted(const std::string& text);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_OBSERVE_LOG_H_
