#include "server/observe/routes.h"

#include <memory>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/support/sample_status.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Observed Healthy() {
  return {[] { return std::make_shared<const EngineStatus>(testing::SampleStatus()); },
          [] { return RuntimeStatus(); }};
}

TEST(RoutesTest, ServesPeopleProbesAndPrometheus) {
  EXPECT_THAT(Route(Healthy(), "/metrics").body, HasSubstr("moe_advisor_plan_revision"));
  EXPECT_THAT(Route(Healthy(), "/metrics").content_type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(Route(Healthy(), "/api/v1/status").body, HasSubstr("\"deployments\""));
  EXPECT_EQ(Route(Healthy(), "/healthz").code, 200);
  EXPECT_EQ(Route(Healthy(), "/readyz").code, 200);
  EXPECT_EQ(Route(Healthy(), "/etc/passwd").code, 404);
}

TEST(RoutesTest, ThePageNeedsNothingFromElsewhere) {
  const std::string page = Route(Healthy(), "/").body;
  EXPECT_THAT(page, HasSubstr("name=\"viewport\""));
  EXPECT_THAT(page, Not(HasSubstr("://")));
  EXPECT_THAT(page, Not(HasSubstr("src=")));
}

TEST(RoutesTest, IsAliveButNotReadyWhileDraining) {
  Observed observed = Healthy();
  observed.runtime = [] {
    RuntimeStatus runtime;
    runtime.draining = true;
    return runtime;
  };
  EXPECT_EQ(Route(observed, "/healthz").code, 200);
  EXPECT_EQ(Route(observed, "/readyz").code, 503);
}

TEST(RoutesTest, AStoreThatCannotBeWrittenShowsButKeepsTheDaemonReady) {
  Observed observed = Healthy();
  observed.runtime = [] {
    RuntimeStatus runtime;
    runtime.store_error = "disk full";
    return runtime;
  };
  for (const char* path : {"/healthz", "/readyz"}) {
    EXPECT_EQ(Route(observed, path).code, 200) << path;
    EXPECT_THAT(Route(observed, path).body, HasSubstr("nothing is published: disk full"));
  }
  EXPECT_THAT(Route(observed, "/metrics").body, HasSubstr("moe_advisor_store_failing 1\n"));
  EXPECT_THAT(Route(observed, "/api/v1/status").body, HasSubstr("disk full"));
}

TEST(RoutesTest, IsNotAliveWhenTheDecisionLoopIsNot) {
  Observed observed = Healthy();
  observed.engine = [] { return absl::UnavailableError("does not answer"); };
  for (const char* path : {"/healthz", "/readyz", "/metrics", "/api/v1/status"}) {
    EXPECT_EQ(Route(observed, path).code, 503) << path;
  }
}

}  // namespace
}  // namespace advisor::server
