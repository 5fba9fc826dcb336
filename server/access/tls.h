#ifndef ADVISOR_SERVER_ACCESS_TLS_H_
#define ADVISOR_SERVER_ACCESS_TLS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "absl/status/statusor.h"
#include "server/access/options.h"

namespace advisor::server {

// Credentials that follow their files: connections are made with what is in them, looked at every
// reload_seconds; a pair that does not match leaves the old one in use. Without TLS: insecure ones.
// Peers must speak TLS 1.3, unless the environment sets GRPC_SSL_CIPHER_SUITES.
// NOT_FOUND: a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(const TlsOptions& tls);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_ACCESS_TLS_H_
