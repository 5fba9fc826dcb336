#include "client/ctl/online.h"

#include "client/ctl/message_json.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;

TEST(OnlineTest, PositionsAreReadAsTheyAreShown) {
  ASSERT_OK_AND_ASSIGN(const v1::Position position, ParsePosition("3.17"));
  EXPECT_EQ(position.epoch(), 3u);
  EXPECT_EQ(position.revision(), 17u);
  EXPECT_EQ(ToText(position), "3.17");
  EXPECT_EQ(ToText(v1::Position()), "-");
  for (const char* bad : {"", "3", "3.", ".7", "a.b", "3.-1", "1.2.3"}) {
    EXPECT_THAT(ParsePosition(bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write epoch.revision")))
        << bad;
  }
}

TEST(OnlineTest, QuantitiesAreShort) {
  EXPECT_EQ(BytesText(0), "-");
  EXPECT_EQ(BytesText(999), "999 B");
  EXPECT_EQ(BytesText(3.2e9), "3.2 GB");
  EXPECT_EQ(BytesText(5e15), "5000.0 TB");
  EXPECT_EQ(AgeText(42), "42 s");
  EXPECT_EQ(AgeText(210), "3.5 min");
  EXPECT_EQ(AgeText(7560), "2.1 h");
  EXPECT_EQ(PercentOrDash(false, 0.5), "-");
  EXPECT_EQ(PercentOrDash(true, 0.5), "50.0 %");
  EXPECT_EQ(ReasonName(v1::DECISION_REASON_GAIN_BELOW_MOVE_COST), "gain_below_move_cost");
  EXPECT_EQ(ReasonName(static_cast<v1::DecisionReason>(999)), "?");
}

TEST(MessageJsonTest, NumbersAreNumbersAndEnumsAreNames) {
  v1::DeploymentStatus status;
  status.set_deployment("chat");
  status.set_mode(v1::MODE_ACTIVE);
  status.set_window_tokens(1ull << 40);
  status.set_measured_saving(0);
  v1::ReporterStatus& reporter = *status.add_reporters();
  reporter.set_state(v1::ReporterStatus::STALE);
  reporter.mutable_applied()->set_revision(7);
  const nlohmann::ordered_json json = ToJson(status);
  EXPECT_EQ(json["deployment"], "chat");
  EXPECT_EQ(json["mode"], "active");
  EXPECT_EQ(json["window_tokens"], 1ull << 40);
  EXPECT_EQ(json["frozen"], false);
  EXPECT_EQ(json["measured_saving"], 0.0);          // set to its default
  EXPECT_FALSE(json.contains("predicted_saving"));  // unset
  EXPECT_FALSE(json.contains("position"));
  EXPECT_EQ(json["reporters"][0]["state"], "stale");
  EXPECT_EQ(json["reporters"][0]["applied"]["revision"], 7);
  EXPECT_TRUE(json["domains"].is_array());
}

}  // namespace
}  // namespace advisor::client
