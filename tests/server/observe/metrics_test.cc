#include "server/observe/metrics.h"

#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/support/sample_status.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

std::string Sample() {
  RuntimeStatus runtime;
  runtime.version = "1.2.3";
  runtime.refused = {1, 2, 3};
  return MetricsText(testing::SampleStatus(), runtime);
}

TEST(MetricsTest, HasWhatDashboardsBuildOn) {
  const std::string text = Sample();
  for (const char* line :
       {"moe_advisor_internode_bytes_total{deployment=\"chat\",domain=\"law \\\"and\\\" order\"} "
        "3000000000000",
        "moe_advisor_baseline_internode_bytes_total{deployment=\"chat\",domain=\"law \\\"and\\\" "
        "order\"} 4000000000000",
        "moe_advisor_plan_saving_ratio{deployment=\"chat\",kind=\"predicted\"} 0.3",
        "moe_advisor_plan_saving_ratio{deployment=\"chat\",kind=\"measured\"} 0.25",
        "moe_advisor_plan_epoch{deployment=\"chat\"} 2",
        "moe_advisor_plan_revision{deployment=\"chat\"} 7",
        "moe_advisor_build_info{version=\"1.2.3\"} 1",
        "moe_advisor_reporters{deployment=\"chat\",state=\"stale\"} 1",
        "moe_advisor_reporters_left_out{deployment=\"chat\",domain=\"law \\\"and\\\" order\"} 1",
        "moe_advisor_rejected_blocks_total{deployment=\"chat\",reason=\"sum_law\"} 2",
        "moe_advisor_decisions_total{deployment=\"chat\",reason=\"no_gain\"} 4",
        "moe_advisor_plan_nacks_total{deployment=\"chat\",reason=\"out_of_memory\"} 1",
        "moe_advisor_mailbox_refused_total{lane=\"control\"} 2"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + line));
  }
}

TEST(MetricsTest, UnknownSavingsAreAbsentRatherThanZero) {
  EngineStatus status = testing::SampleStatus();
  status.deployments[0].measured_saving.reset();
  EXPECT_THAT(MetricsText(status, {}), ::testing::Not(HasSubstr("kind=\"measured\"")));
}

// The text format's grammar, and Prometheus' naming: a HELP and TYPE for each family, once; names
// of counters end in _total, of others not; no sample twice.
TEST(MetricsTest, IsWellFormed) {
  std::istringstream text(Sample());
  std::map<std::string, std::string> types;
  std::set<std::string> helped, series;
  const std::regex sample("(moe_advisor_[a-z_]+)(\\{[a-z]+=\".*\"\\})? (-?[0-9].*)");
  for (std::string line; std::getline(text, line);) {
    std::smatch match;
    if (line.rfind("# HELP ", 0) == 0) {
      const std::string name = line.substr(7, line.find(' ', 7) - 7);
      EXPECT_TRUE(helped.insert(name).second) << line;
      EXPECT_GT(line.size(), 8 + name.size()) << line;
    } else if (line.rfind("# TYPE ", 0) == 0) {
      std::istringstream words(line.substr(7));
      std::string name, type;
      words >> name >> type;
      EXPECT_TRUE(types.emplace(name, type).second) << line;
      EXPECT_EQ(type == "counter", name.size() > 6 && name.substr(name.size() - 6) == "_total")
          << line;
    } else {
      ASSERT_TRUE(std::regex_match(line, match, sample)) << line;
      EXPECT_TRUE(types.count(match[1])) << line;
      EXPECT_TRUE(series.insert(match[1].str() + match[2].str()).second) << line;
    }
  }
  EXPECT_EQ(types.size(), helped.size());
  EXPECT_GT(types.size(), 30u);
}

}  // namespace
}  // namespace advisor::server
