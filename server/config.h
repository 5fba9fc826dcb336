#ifndef ADVISOR_SERVER_CONFIG_H_
#define ADVISOR_SERVER_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/engine/options.h"
#include "core/model/deployment.h"
#include "server/access/options.h"
#include "server/observe/log.h"

namespace advisor::server {

// A deployment file, or a folder of them, and how its deployments are run.
struct DeploymentConfig {
  std::string file;
  DeploymentOptions options;
};

// The daemon's configuration. deploy/config/advisord.yaml shows every key with its unit and
// default.
struct DaemonConfig {
  std::string listen = "127.0.0.1:9470";  // gRPC: HOST:PORT or unix:PATH
  std::string http = "127.0.0.1:9471";    // HOST:PORT
  std::string store = "/var/lib/advisor/advisord.db";
  int solver_threads = 0;  // 0: one per core
  bool reflection_off_loopback = false;
  int max_streams = 10000;      // of each streaming service
  int write_stall_seconds = 5;  // a subscriber's write that takes longer ends its stream
  int drain_seconds = 10;       // given to calls in flight on SIGTERM
  TlsOptions tls;
  std::vector<AccessRule> access;
  LimitOptions limits;
  LogLevel log_level = LogLevel::kInfo;
  DeploymentOptions defaults;
  std::vector<DeploymentConfig> deployments;
};

// Reads a daemon configuration; relative paths in it start at its folder. INVALID_ARGUMENT
// "file:line: key.path is X, must be Y".
absl::StatusOr<DaemonConfig> ReadConfig(const std::string& path);
absl::StatusOr<DaemonConfig> ParseConfig(const std::string& yaml, const std::string& name,
                                         const std::string& folder);

struct ConfiguredDeployment {
  Deployment deployment;
  DeploymentOptions options;
};
// Reads the deployment files. INVALID_ARGUMENT also: two of one name, or none at all.
absl::StatusOr<std::vector<ConfiguredDeployment>> ReadDeployments(const DaemonConfig& config);

// Whether only this machine can reach a gRPC listen address: loopback or a unix socket.
bool IsLocal(const std::string& listen);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_CONFIG_H_
