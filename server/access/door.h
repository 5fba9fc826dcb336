#ifndef ADVISOR_SERVER_ACCESS_DOOR_H_
#define ADVISOR_SERVER_ACCESS_DOOR_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/status.h"
#include "server/access/admission.h"
#include "server/access/policy.h"

namespace advisor::server {

// What services ask before they serve. Both must outlive it.
struct Door {
  const AccessPolicy& policy;
  Admission& admission;
};

Peer PeerOf(const grpc::ServerContextBase& context);

// May this peer call? A refusal is logged; see AccessPolicy::Check().
absl::Status Allow(const Door& door, const Peer& peer, Right right, const std::string& deployment,
                   const std::string& id = "");

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_ACCESS_DOOR_H_
