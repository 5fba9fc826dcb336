#include "server/access/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <cstdlib>
#include <fstream>
#include <utility>

#include "absl/strings/str_format.h"

namespace advisor::server {
namespace {

// The packaged gRPC has no option for the lowest TLS version: it accepts 1.2 and 1.3, and takes the
// ciphers of 1.2 alone from this variable, once per process. A cipher that needs a key which no
// side has leaves 1.2 nothing to agree on. Whoever sets the variable keeps the say.
void AcceptTls13Only() {
  ::setenv("GRPC_SSL_CIPHER_SUITES", "PSK-AES256-GCM-SHA384", /*overwrite=*/0);
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(const TlsOptions& tls) {
  if (!tls.enabled()) {
    return grpc::InsecureServerCredentials();
  }
  for (const auto& [key, path] : {std::pair{"tls.cert", &tls.cert}, std::pair{"tls.key", &tls.key},
                                  std::pair{"tls.client_ca", &tls.client_ca}}) {
    if (!std::ifstream(*path).is_open()) {
      return absl::NotFoundError(absl::StrFormat("%s %s cannot be read", key, *path));
    }
  }
  AcceptTls13Only();
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          tls.key, tls.cert, tls.client_ca, static_cast<unsigned>(tls.reload_seconds)));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace advisor::server
