#include "client/agent/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace advisor::client {
namespace {

class QuotedMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string quoted = absl::StrCat(
        "\"",
        absl::Utf8SafeCEscape(absl::string_view(message.payload.data(), message.payload.size())),
        "\"");
    out.append(quoted.data(), quoted.data() + quoted.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<QuotedMessage>();
  }
};

}  // namespace

std::unique_ptr<spdlog::formatter> MakeLogFormatter(const std::string& deployment) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<QuotedMessage>('*').set_pattern(
      absl::StrCat("ts=%Y-%m-%dT%H:%M:%S.%eZ level=%l deployment=", deployment, " msg=%*"));
  return formatter;
}

void SetUpLog(const std::string& deployment) {
  auto logger = std::make_shared<spdlog::logger>("advisor-agent",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(MakeLogFormatter(deployment));
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace advisor::client
