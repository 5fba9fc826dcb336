#include "server/access/door.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/observe/log.h"

namespace advisor::server {
namespace {

std::string Property(const grpc::AuthContext& auth, const char* name) {
  const std::vector<grpc::string_ref> values = auth.FindPropertyValues(name);
  return values.size() == 1 ? std::string(values[0].data(), values[0].size()) : "";
}

}  // namespace

Peer PeerOf(const grpc::ServerContextBase& context) {
  Peer peer;
  peer.address = context.peer();
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    peer.identity = Property(*auth, GRPC_PEER_SPIFFE_ID_PROPERTY_NAME);
    if (peer.identity.empty()) {
      peer.identity = Property(*auth, GRPC_X509_CN_PROPERTY_NAME);
    }
  }
  return peer;
}

absl::Status Allow(const Door& door, const Peer& peer, Right right, const std::string& deployment,
                   const std::string& id) {
  absl::Status status = door.policy.Check(peer, right, deployment, id);
  if (!status.ok()) {
    Log(LogLevel::kWarning, deployment,
        absl::StrCat("refused ", peer.address, ": ", std::string(status.message())));
  }
  return status;
}

}  // namespace advisor::server
