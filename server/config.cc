#include "server/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/io/deployment_file.h"
#include "core/io/strict_yaml.h"
#include "server/access/policy.h"

namespace advisor::server {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();
constexpr double kMaxSeconds = 1e9;

// Durations are numbers of seconds, and their keys end in _s.
void ReadSeconds(StrictMap& map, const char* key, double low, absl::Duration* out) {
  double seconds = absl::ToDoubleSeconds(*out);
  map.ReadDouble(key, low, kMaxSeconds, &seconds);
  *out = absl::Seconds(seconds);
}

void ReadWindow(StrictMap map, WindowOptions* o) {
  map.ReadInt("bucket_tokens", 1, static_cast<int64_t>(kMaxBucketTokens), &o->bucket_tokens);
  map.ReadInt("bucket_steps", 1, kMaxInt64, &o->bucket_steps);
  map.ReadInt("buckets", 1, 1024, &o->buckets);
  map.ReadInt("max_domains", 1, 64, &o->max_domains);
  map.ReadInt("sample_tokens", 0, 1 << 24, &o->sample_tokens);
  map.ReadInt("frame_sample_tokens", 0, 1 << 16, &o->frame_sample_tokens);
  map.ReadInt("max_bytes", 1 << 20, kMaxInt64, &o->max_bytes);
}

void ReadPolicy(StrictMap map, PolicyOptions* o) {
  map.ReadDouble("min_coverage", 0, 1, &o->min_coverage);
  ReadSeconds(map, "coverage_wait_s", 0, &o->coverage_wait);
  map.ReadInt("min_window_tokens", 1, kMaxInt64, &o->min_window_tokens);
  map.ReadDouble("drift_threshold", 0, 1, &o->drift_threshold);
  ReadSeconds(map, "min_solve_interval_s", 0, &o->min_solve_interval);
  ReadSeconds(map, "max_solve_interval_s", 0.1, &o->max_solve_interval);
  ReadSeconds(map, "min_commit_interval_s", 0, &o->min_commit_interval);
  map.ReadDouble("min_gain", 0, 1, &o->min_gain);
  map.ReadDouble("gain_over_move_cost", 0, 1e9, &o->gain_over_move_cost);
  map.ReadDouble("plan_life_tokens", 1, 1e18, &o->plan_life_tokens);
  map.ReadDouble("max_moved_fraction", 0, 1, &o->max_moved_fraction);
  map.ReadDouble("holdout_share", 0.01, 0.9, &o->holdout_share);
  map.ReadDouble("regression_margin", 0, 1, &o->regression_margin);
  map.ReadInt("regression_tokens", 1, kMaxInt64, &o->regression_tokens);
  ReadSeconds(map, "stage_timeout_s", 0.1, &o->stage_timeout);
  ReadSeconds(map, "commit_resend_s", 0.1, &o->commit_resend);
  ReadSeconds(map, "solve_time_limit_s", 0.01, &o->solve_time_limit);
}

void ReadSession(StrictMap map, SessionOptions* o) {
  ReadSeconds(map, "min_report_interval_s", 0, &o->min_report_interval);
  ReadSeconds(map, "max_report_interval_s", 0.01, &o->max_report_interval);
  ReadSeconds(map, "reporter_lease_s", 0.1, &o->reporter_lease);
  map.ReadInt("credits", 1, 1024, &o->credits);
  map.ReadInt("key_frame_every", 0, 1'000'000, &o->key_frame_every);
  map.ReadInt("max_frame_bytes", 1024, 4 << 20, &o->max_frame_bytes);
  map.ReadInt("ack_every_frames", 1, 1024, &o->ack_every_frames);
  ReadSeconds(map, "ack_delay_s", 0, &o->ack_delay);
  ReadSeconds(map, "progress_interval_s", 0.1, &o->progress_interval);
  ReadSeconds(map, "received_timeout_s", 0.1, &o->received_timeout);
  map.ReadInt("kept_plans", 2, 64, &o->kept_plans);
}

// One of the enum's values by the name that ToString() gives it.
template <typename Enum>
void ReadEnum(StrictMap& map, const char* key, const std::vector<Enum>& values, Enum* out) {
  std::vector<std::string> names;
  int index = 0;
  for (const Enum value : values) {
    if (value == *out) {
      index = static_cast<int>(names.size());
    }
    names.push_back(ToString(value));
  }
  map.ReadEnum(key, names, &index);
  *out = values[index];
}

void ReadSolve(StrictMap map, SolveParams* o) {
  ReadEnum(
      map, "method",
      {Method::kJoint, Method::kLinear, Method::kEplb, Method::kPaper, Method::kGreedyCoactivation},
      &o->method);
  int dispatch = static_cast<int>(o->dispatch);
  map.ReadEnum("dispatch", {"table", "cover"}, &dispatch);
  o->dispatch = static_cast<Dispatch>(dispatch);
  ReadEnum(map, "objective", {Objective::kInternodeBytes, Objective::kBalance, Objective::kLatency},
           &o->objective);
  ReadEnum(map, "effort", {Effort::kQuick, Effort::kStandard, Effort::kThorough}, &o->effort);
  map.ReadDouble("node_load_cap", 1, 1000, &o->node_load_cap);
  map.ReadDouble("gpu_load_cap", 1, 1000, &o->gpu_load_cap);
  map.ReadInt("seed", 0, kMaxInt64, &o->seed);
}

void ReadOptions(StrictMap& map, DeploymentOptions* o) {
  ReadWindow(map.ReadMap("window"), &o->window);
  ReadPolicy(map.ReadMap("policy"), &o->policy);
  ReadSession(map.ReadMap("session"), &o->session);
  ReadSolve(map.ReadMap("solve"), &o->solve);
}

// A folder stands for its .yaml files, by name.
std::vector<std::string> FilesOf(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) {
    return {path};
  }
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.path().extension() == ".yaml") {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::string At(const std::string& folder, const std::string& path) {
  const bool absolute = fs::path(path).is_absolute();
  return absolute || folder.empty() ? path : (fs::path(folder) / path).string();
}

void ReadTls(StrictMap map, const std::string& folder, TlsOptions* o) {
  map.ReadString("cert", &o->cert);
  map.ReadString("key", &o->key);
  map.ReadString("client_ca", &o->client_ca);
  map.ReadInt("reload_s", 1, 86'400, &o->reload_seconds);
  const bool any = !o->cert.empty() || !o->key.empty() || !o->client_ca.empty();
  for (const auto& [key, path] : {std::pair{"cert", &o->cert}, std::pair{"key", &o->key},
                                  std::pair{"client_ca", &o->client_ca}}) {
    if (any && path->empty()) {
      map.Fail("cert",
               absl::StrCat("needs cert, key and client_ca together; ", key, " is missing"));
    }
    *path = any ? At(folder, *path) : "";
  }
}

AccessRule ReadAccessRule(StrictMap& map) {
  AccessRule rule;
  map.ReadString("identity", &rule.identity, true);
  std::vector<std::string> rights;
  map.ReadStringList("rights", &rights);
  for (const std::string& name : rights) {
    bool known = false;
    for (const Right right :
         {Right::kReporter, Right::kSubscriber, Right::kRouter, Right::kAdmin}) {
      if (name == ToString(right)) {
        rule.rights.insert(right);
        known = true;
      }
    }
    if (!known) {
      map.Fail("rights",
               absl::StrCat("has \"", name, "\", must be of reporter, subscriber, router, admin"));
    }
  }
  if (rule.rights.empty()) {
    map.Fail("rights", "is empty: the rule allows nothing");
  }
  map.ReadStringList("deployments", &rule.deployments);
  map.ReadBool("any_id", &rule.any_id);
  return rule;
}

void ReadLimits(StrictMap map, LimitOptions* o) {
  map.ReadInt("streams_per_connection", 1, 1'000'000, &o->streams_per_connection);
  map.ReadInt("streams_per_peer", 1, 1'000'000, &o->streams_per_peer);
  map.ReadInt("new_streams_per_s", 0, 1'000'000, &o->new_streams_per_second);
  map.ReadInt("hello_timeout_s", 1, 3600, &o->hello_timeout_seconds);
  map.ReadInt("connection_age_s", 1, 1'000'000, &o->connection_age_seconds);
  map.ReadInt("connection_grace_s", 1, 1'000'000, &o->connection_grace_seconds);
  map.ReadInt("keepalive_s", 1, 86'400, &o->keepalive_seconds);
  map.ReadInt("keepalive_timeout_s", 1, 86'400, &o->keepalive_timeout_seconds);
  map.ReadInt("transport_mb", 0, 1 << 20, &o->transport_megabytes);
}

absl::StatusOr<DaemonConfig> ReadFields(StrictMap root, const std::string& folder) {
  DaemonConfig config;
  root.ReadString("listen", &config.listen);
  root.ReadString("http", &config.http);
  root.ReadString("store", &config.store);
  config.store = At(folder, config.store);
  root.ReadInt("solver_threads", 0, 1024, &config.solver_threads);
  root.ReadBool("reflection_off_loopback", &config.reflection_off_loopback);
  root.ReadInt("max_streams", 1, 1'000'000, &config.max_streams);
  root.ReadInt("write_stall_s", 1, 3600, &config.write_stall_seconds);
  root.ReadInt("drain_s", 0, 3600, &config.drain_seconds);
  ReadTls(root.ReadMap("tls"), folder, &config.tls);
  for (StrictMap& rule : root.ReadMapList("access")) {
    config.access.push_back(ReadAccessRule(rule));
  }
  if (config.tls.enabled() && config.access.empty() && root.status().ok()) {
    root.Fail("tls", "is set but `access` is not: nobody could call");
  }
  ReadLimits(root.ReadMap("limits"), &config.limits);
  int level = static_cast<int>(config.log_level);
  root.ReadEnum("log_level", {"debug", "info", "warning", "error"}, &level);
  config.log_level = static_cast<LogLevel>(level);
  StrictMap defaults = root.ReadMap("defaults");
  ReadOptions(defaults, &config.defaults);
  for (StrictMap& item : root.ReadMapList("deployments")) {
    DeploymentConfig deployment{"", config.defaults};
    item.ReadString("file", &deployment.file, true);
    deployment.file = At(folder, deployment.file);
    ReadOptions(item, &deployment.options);
    config.deployments.push_back(std::move(deployment));
  }
  RETURN_IF_ERROR(root.Finish());
  return config;
}

}  // namespace

absl::StatusOr<DaemonConfig> ReadConfig(const std::string& path) {
  ASSIGN_OR_RETURN(StrictMap root, StrictMap::ParseFile(path));
  return ReadFields(std::move(root), fs::path(path).parent_path().string());
}

absl::StatusOr<DaemonConfig> ParseConfig(const std::string& yaml, const std::string& name,
                                         const std::string& folder) {
  ASSIGN_OR_RETURN(StrictMap root, StrictMap::ParseText(yaml, name));
  return ReadFields(std::move(root), folder);
}

absl::StatusOr<std::vector<ConfiguredDeployment>> ReadDeployments(const DaemonConfig& config) {
  std::vector<ConfiguredDeployment> read;
  std::map<std::string, std::string> file_of;
  for (const DeploymentConfig& entry : config.deployments) {
    for (const std::string& file : FilesOf(entry.file)) {
      ASSIGN_OR_RETURN(Deployment deployment, ReadDeployment(file));
      const auto [found, is_new] = file_of.emplace(deployment.name, file);
      if (!is_new) {
        return absl::InvalidArgumentError(absl::StrCat(file, ": deployment is \"", deployment.name,
                                                       "\", which ", found->second,
                                                       " has already; names must differ"));
      }
      DeploymentOptions options = entry.options;
      options.solve.phase = deployment.phase;
      read.push_back({std::move(deployment), std::move(options)});
    }
  }
  if (read.empty()) {
    return absl::InvalidArgumentError(
        "no deployment to serve; give --deployment FILE or `deployments` in the configuration");
  }
  return read;
}

bool IsLocal(const std::string& listen) {
  if (absl::StartsWith(listen, "unix:")) {
    return true;
  }
  const std::string host = listen.substr(0, listen.rfind(':'));
  in_addr address;  // only a number says for sure where it leads
  return host == "localhost" || host == "[::1]" ||
         (inet_pton(AF_INET, host.c_str(), &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

}  // namespace advisor::server
