#include "client/agent/metrics.h"

#include "gmock/gmock.h"

namespace advisor::client {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, NamesWhatTheAgentCounts) {
  AgentStatus status;
  status.steps = 12;
  status.lost_steps = 3;
  status.subscribed = true;
  status.in_force = {2, 7};
  const std::string text = MetricsText(status);
  EXPECT_THAT(text, HasSubstr("# TYPE moe_advisor_agent_steps_total counter"));
  EXPECT_THAT(text, HasSubstr("\nmoe_advisor_agent_steps_total 12"));
  EXPECT_THAT(text, HasSubstr("\nmoe_advisor_agent_lost_steps_total 3"));
  EXPECT_THAT(text, HasSubstr("\nmoe_advisor_agent_subscribed 1"));
  EXPECT_THAT(text, HasSubstr("\nmoe_advisor_agent_plan_revision 7"));
}

TEST(MetricsTest, AnAddressThatCannotBeListenedOnIsNamed) {
  const auto server = MetricsServer::Start("127.0.0.1:0", [] { return AgentStatus(); });
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string taken = "127.0.0.1:" + std::to_string((*server)->port());
  const auto second = MetricsServer::Start(taken, [] { return AgentStatus(); });
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(taken));
}

}  // namespace
}  // namespace advisor::client
