#include "server/config.h"

#include <cstdlib>
#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "tests/server/support/temporary_folder.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::StartsWith;
using testing::StatusIs;

absl::StatusOr<DaemonConfig> Parse(const std::string& yaml) {
  return ParseConfig(yaml, "advisord.yaml", "/etc/advisor");
}

void ExpectEqual(const WindowOptions& a, const WindowOptions& b) {
  EXPECT_EQ(a.bucket_tokens, b.bucket_tokens);
  EXPECT_EQ(a.bucket_steps, b.bucket_steps);
  EXPECT_EQ(a.buckets, b.buckets);
  EXPECT_EQ(a.max_domains, b.max_domains);
  EXPECT_EQ(a.sample_tokens, b.sample_tokens);
  EXPECT_EQ(a.frame_sample_tokens, b.frame_sample_tokens);
  EXPECT_EQ(a.max_bytes, b.max_bytes);
}

void ExpectEqual(const PolicyOptions& a, const PolicyOptions& b) {
  EXPECT_EQ(a.min_coverage, b.min_coverage);
  EXPECT_EQ(a.coverage_wait, b.coverage_wait);
  EXPECT_EQ(a.min_window_tokens, b.min_window_tokens);
  EXPECT_EQ(a.drift_threshold, b.drift_threshold);
  EXPECT_EQ(a.min_solve_interval, b.min_solve_interval);
  EXPECT_EQ(a.max_solve_interval, b.max_solve_interval);
  EXPECT_EQ(a.min_commit_interval, b.min_commit_interval);
  EXPECT_EQ(a.min_gain, b.min_gain);
  EXPECT_EQ(a.gain_over_move_cost, b.gain_over_move_cost);
  EXPECT_EQ(a.plan_life_tokens, b.plan_life_tokens);
  EXPECT_EQ(a.max_moved_fraction, b.max_moved_fraction);
  EXPECT_EQ(a.holdout_share, b.holdout_share);
  EXPECT_EQ(a.regression_margin, b.regression_margin);
  EXPECT_EQ(a.regression_tokens, b.regression_tokens);
  EXPECT_EQ(a.stage_timeout, b.stage_timeout);
  EXPECT_EQ(a.commit_resend, b.commit_resend);
  EXPECT_EQ(a.solve_time_limit, b.solve_time_limit);
}

void ExpectEqual(const SessionOptions& a, const SessionOptions& b) {
  EXPECT_EQ(a.min_report_interval, b.min_report_interval);
  EXPECT_EQ(a.max_report_interval, b.max_report_interval);
  EXPECT_EQ(a.reporter_lease, b.reporter_lease);
  EXPECT_EQ(a.credits, b.credits);
  EXPECT_EQ(a.max_frame_bytes, b.max_frame_bytes);
  EXPECT_EQ(a.ack_every_frames, b.ack_every_frames);
  EXPECT_EQ(a.ack_delay, b.ack_delay);
  EXPECT_EQ(a.progress_interval, b.progress_interval);
  EXPECT_EQ(a.received_timeout, b.received_timeout);
  EXPECT_EQ(a.kept_plans, b.kept_plans);
}

void ExpectEqual(const DeploymentOptions& a, const DeploymentOptions& b) {
  ExpectEqual(a.window, b.window);
  ExpectEqual(a.policy, b.policy);
  ExpectEqual(a.session, b.session);
  EXPECT_EQ(a.solve.method, b.solve.method);
  EXPECT_EQ(a.solve.objective, b.solve.objective);
  EXPECT_EQ(a.solve.effort, b.solve.effort);
  EXPECT_EQ(a.solve.dispatch, b.solve.dispatch);
  EXPECT_EQ(a.solve.node_load_cap, b.solve.node_load_cap);
  EXPECT_EQ(a.solve.gpu_load_cap, b.solve.gpu_load_cap);
  EXPECT_EQ(a.solve.seed, b.solve.seed);
}

// The shipped example names every key with its default, so that it cannot go stale.
TEST(ConfigTest, TheShippedExampleShowsTheDefaults) {
  const std::string path =
      std::string(std::getenv("ADVISOR_SOURCE_DIR")) + "/deploy/config/advisord.yaml";
  ASSERT_OK_AND_ASSIGN(const DaemonConfig config, ReadConfig(path));
  const DaemonConfig defaults;
  EXPECT_EQ(config.listen, defaults.listen);
  EXPECT_EQ(config.http, defaults.http);
  EXPECT_EQ(config.store, defaults.store);
  EXPECT_EQ(config.solver_threads, defaults.solver_threads);
  EXPECT_EQ(config.reflection_off_loopback, defaults.reflection_off_loopback);
  EXPECT_EQ(config.max_streams, defaults.max_streams);
  EXPECT_EQ(config.write_stall_seconds, defaults.write_stall_seconds);
  EXPECT_EQ(config.drain_seconds, defaults.drain_seconds);
  EXPECT_EQ(config.log_level, defaults.log_level);
  EXPECT_FALSE(config.tls.enabled());
  EXPECT_EQ(config.limits.streams_per_connection, defaults.limits.streams_per_connection);
  EXPECT_EQ(config.limits.streams_per_peer, defaults.limits.streams_per_peer);
  EXPECT_EQ(config.limits.new_streams_per_second, defaults.limits.new_streams_per_second);
  EXPECT_EQ(config.limits.hello_timeout_seconds, defaults.limits.hello_timeout_seconds);
  EXPECT_EQ(config.limits.connection_age_seconds, defaults.limits.connection_age_seconds);
  EXPECT_EQ(config.limits.connection_grace_seconds, defaults.limits.connection_grace_seconds);
  EXPECT_EQ(config.limits.keepalive_seconds, defaults.limits.keepalive_seconds);
  EXPECT_EQ(config.limits.keepalive_timeout_seconds, defaults.limits.keepalive_timeout_seconds);
  EXPECT_EQ(config.limits.transport_megabytes, defaults.limits.transport_megabytes);
  ExpectEqual(config.defaults, defaults.defaults);
  const std::string text = testing::ReadBytes(path);
  for (const char* key : {"listen",
                          "http",
                          "store",
                          "solver_threads",
                          "reflection_off_loopback",
                          "max_streams",
                          "write_stall_s",
                          "drain_s",
                          "log_level",
                          "streams_per_connection",
                          "streams_per_peer",
                          "new_streams_per_s",
                          "hello_timeout_s",
                          "connection_age_s",
                          "connection_grace_s",
                          "keepalive_s",
                          "keepalive_timeout_s",
                          "transport_mb",
                          "bucket_tokens",
                          "bucket_steps",
                          "buckets",
                          "max_domains",
                          "sample_tokens",
                          "frame_sample_tokens",
                          "max_bytes",
                          "min_coverage",
                          "coverage_wait_s",
                          "min_window_tokens",
                          "drift_threshold",
                          "min_solve_interval_s",
                          "max_solve_interval_s",
                          "min_commit_interval_s",
                          "min_gain",
                          "gain_over_move_cost",
                          "plan_life_tokens",
                          "max_moved_fraction",
                          "holdout_share",
                          "regression_margin",
                          "regression_tokens",
                          "stage_timeout_s",
                          "commit_resend_s",
                          "solve_time_limit_s",
                          "min_report_interval_s",
                          "max_report_interval_s",
                          "reporter_lease_s",
                          "credits",
                          "max_frame_bytes",
                          "ack_every_frames",
                          "ack_delay_s",
                          "progress_interval_s",
                          "received_timeout_s",
                          "kept_plans",
                          "method",
                          "objective",
                          "effort",
                          "dispatch",
                          "node_load_cap",
                          "gpu_load_cap",
                          "seed"}) {
    EXPECT_THAT(text, HasSubstr(std::string(key) + ": ")) << "not shown in the example";
  }
}

TEST(ConfigTest, DeploymentsTakeTheDefaultsAndOverrideThem) {
  ASSERT_OK_AND_ASSIGN(const DaemonConfig config, Parse(R"(
store: plans.db
defaults:
  window: {buckets: 4}
  policy: {min_gain: 0.5, solve_time_limit_s: 0.25}
  solve: {effort: quick, objective: balance}
deployments:
  - file: a.yaml
  - file: /abs/b.yaml
    window: {buckets: 16}
    solve: {seed: 7}
)"));
  EXPECT_EQ(config.store, "/etc/advisor/plans.db");
  ASSERT_EQ(config.deployments.size(), 2u);
  const DeploymentConfig& a = config.deployments[0];
  EXPECT_EQ(a.file, "/etc/advisor/a.yaml");
  EXPECT_EQ(a.options.window.buckets, 4);
  EXPECT_EQ(a.options.policy.solve_time_limit, absl::Milliseconds(250));
  EXPECT_EQ(a.options.solve.effort, Effort::kQuick);
  const DeploymentConfig& b = config.deployments[1];
  EXPECT_EQ(b.file, "/abs/b.yaml");
  EXPECT_EQ(b.options.window.buckets, 16);
  EXPECT_EQ(b.options.policy.min_gain, 0.5);
  EXPECT_EQ(b.options.solve.objective, Objective::kBalance);
  EXPECT_EQ(b.options.solve.seed, 7u);
}

TEST(ConfigTest, ErrorsNameFileLineKeyAndLimit) {
  const auto error = [](const std::string& yaml) { return Parse(yaml).status(); };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_THAT(error("listn: x"),
              StatusIs(invalid, StartsWith("advisord.yaml:1: unknown key listn")));
  EXPECT_THAT(error("http: a\nhttp: b"),
              StatusIs(invalid, StartsWith("advisord.yaml:2: key http is there twice")));
  EXPECT_THAT(
      error("defaults:\n  window:\n    buckets: 0"),
      StatusIs(invalid, StartsWith("advisord.yaml:3: defaults.window.buckets is \"0\", must")));
  EXPECT_THAT(error("defaults: {solve: {method: magic}}"),
              StatusIs(invalid, HasSubstr("defaults.solve.method")));
  EXPECT_THAT(error("deployments: [{window: {}}]"), StatusIs(invalid, HasSubstr("file")));
  EXPECT_THAT(error("deployments:\n  - file: a.yaml\n    policy: {min_gian: 1}"),
              StatusIs(invalid, HasSubstr("min_gian")));
}

constexpr char kDeployment[] = R"(
model: {name: m, moe_layers: 2, experts: 8, top_k: 2, hidden_size: 16}
topology: {nodes: 2, gpus_per_node: 1, slots_per_gpu: 4}
)";

TEST(ReadDeploymentsTest, AFolderStandsForItsFiles) {
  const testing::TemporaryFolder folder;
  testing::WriteBytes(folder / "b.yaml", std::string("deployment: b\nphase: decode") + kDeployment);
  testing::WriteBytes(folder / "a.yaml", std::string("deployment: a") + kDeployment);
  testing::WriteBytes(folder / "notes.txt", "no deployment");
  DaemonConfig config;
  config.deployments = {{folder.path(), {}}};
  ASSERT_OK_AND_ASSIGN(const auto deployments, ReadDeployments(config));
  ASSERT_EQ(deployments.size(), 2u);
  EXPECT_EQ(deployments[0].deployment.name, "a");
  EXPECT_EQ(deployments[1].options.solve.phase, PhaseFilter::kDecode);

  config.deployments.push_back({folder / "a.yaml", {}});
  EXPECT_THAT(ReadDeployments(config),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("names must differ")));
}

TEST(ReadDeploymentsTest, NeedsOne) {
  EXPECT_THAT(ReadDeployments(DaemonConfig()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("give --deployment")));
}

TEST(ConfigTest, TlsAndAccessGoTogether) {
  ASSERT_OK_AND_ASSIGN(const DaemonConfig config, Parse(R"(
tls: {cert: a.crt, key: /k/a.key, client_ca: ca.crt, reload_s: 5}
access:
  - {identity: spiffe://prod/agent/*, rights: [reporter, subscriber], deployments: [chat]}
  - {identity: gateway, rights: [router], any_id: true}
)"));
  EXPECT_EQ(config.tls.cert, "/etc/advisor/a.crt");
  EXPECT_EQ(config.tls.key, "/k/a.key");
  ASSERT_EQ(config.access.size(), 2u);
  EXPECT_EQ(config.access[0].rights, (std::set<Right>{Right::kReporter, Right::kSubscriber}));
  EXPECT_EQ(config.access[0].deployments, std::vector<std::string>{"chat"});
  EXPECT_TRUE(config.access[1].any_id);
  for (const auto& [yaml, error] :
       {std::pair{"tls: {cert: a, key: b}", "client_ca is missing"},
        std::pair{"tls: {cert: a, key: b, client_ca: c}", "`access` is not"},
        std::pair{"access: [{identity: x, rights: [root]}]", "\"root\""},
        std::pair{"access: [{identity: x}]", "allows nothing"}}) {
    EXPECT_THAT(Parse(yaml), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)));
  }
}

TEST(IsLocalTest, TrustsNumbersOnly) {
  for (const char* local : {"127.0.0.1:0", "127.9.9.9:1", "[::1]:9470", "localhost:1", "unix:/x"}) {
    EXPECT_TRUE(IsLocal(local)) << local;
  }
  for (const char* remote : {"0.0.0.0:9470", "[::]:9470", "127.example.com:1", "10.0.0.1:1", ""}) {
    EXPECT_FALSE(IsLocal(remote)) << remote;
  }
}

}  // namespace
}  // namespace advisor::server
