#include "client/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <sstream>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "proto/convert/limits.h"

namespace advisor::client {
namespace {

absl::StatusOr<std::string> ReadPem(const char* flag, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  if (!file) {
    return absl::NotFoundError(absl::StrFormat("%s %s cannot be read", flag, path));
  }
  return content.str();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(
    const ChannelOptions& options) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError("--tls-cert and --tls-key must be given together");
  }
  if (options.tls_ca.empty()) {
    if (!options.tls_cert.empty()) {
      return absl::InvalidArgumentError("--tls-cert needs --tls-ca, to know the daemon by");
    }
    return grpc::InsecureChannelCredentials();
  }
  grpc::SslCredentialsOptions ssl;
  ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadPem("--tls-ca", options.tls_ca));
  if (!options.tls_cert.empty()) {
    ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadPem("--tls-cert", options.tls_cert));
    ASSIGN_OR_RETURN(ssl.pem_private_key, ReadPem("--tls-key", options.tls_key));
  }
  return grpc::SslCredentials(ssl);
}

}  // namespace

void AddChannelFlags(CLI::App* app, ChannelOptions* options) {
  app->add_option("--server", options->server, "advisord's gRPC address, host:port")
      ->capture_default_str();
  app->add_option("--tls-ca", options->tls_ca,
                  "PEM file of the authority that signed the daemon's certificate");
  app->add_option("--tls-cert", options->tls_cert, "PEM file of this side's certificate");
  app->add_option("--tls-key", options->tls_key, "PEM file of its key");
}

grpc::ChannelArguments ChannelArgumentsFor(const ChannelOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  // Our own backoff decides when to try again; the channel's must not hold it up.
  const int min_ms = static_cast<int>(absl::ToInt64Milliseconds(options.reconnect_min));
  const int max_ms = static_cast<int>(absl::ToInt64Milliseconds(options.reconnect_max));
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, std::max(100, min_ms / 2));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, std::max(100, max_ms / 2));
  // Despite its name how long gRPC lets an attempt to connect take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kConnectTimeout)));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  return arguments;
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options) {
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::ChannelCredentials> credentials, Credentials(options));
  return grpc::CreateCustomChannel(options.server, credentials, ChannelArgumentsFor(options));
}

}  // namespace advisor::client
