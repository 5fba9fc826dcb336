#include "client/agent/log.h"

#include <spdlog/details/log_msg.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor::client {
namespace {

TEST(AgentLogTest, LinesAreTheDaemonsWhateverAMessageHolds) {
  const auto formatter = MakeLogFormatter("chat");
  spdlog::details::log_msg message("", spdlog::level::warn, "say \"no\"\nlevel=error");
  message.time = spdlog::log_clock::time_point(std::chrono::milliseconds(1500));
  spdlog::memory_buf_t line;
  formatter->format(message, line);
  EXPECT_EQ(std::string(line.data(), line.size()),
            "ts=1970-01-01T00:00:01.500Z level=warning deployment=chat "
            "msg=\"say \\\"no\\\"\\nlevel=error\"\n");
}

}  // namespace
}  // namespace advisor::client
