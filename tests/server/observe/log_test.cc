#include "server/observe/log.h"

#include "gtest/gtest.h"

namespace advisor::server {
namespace {

TEST(QuotedTest, IsOneLine) {
  EXPECT_EQ(Quoted("a \"b\"\n\\"), "\"a \\\"b\\\"\\n\\\\\"");
  EXPECT_EQ(Quoted("Zürich"), "\"Zürich\"");
}

TEST(LogTest, WritesOneLinePerEventAboveTheLevel) {
  ::testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kWarning);
  Log(LogLevel::kInfo, "chat", "hidden");
  Log(LogLevel::kWarning, "chat", "coverage lost\nagain");
  SetLogLevel(LogLevel::kInfo);
  const std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find(" level=warning deployment=chat msg=\"coverage lost\\nagain\"\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(text.find("hidden"), std::string::npos);
}

}  // namespace
}  // namespace advisor::server
