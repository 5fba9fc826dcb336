#ifndef ADVISOR_SERVER_ACCESS_POLICY_H_
#define ADVISOR_SERVER_ACCESS_POLICY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/access/options.h"

namespace advisor::server {

// Who is at the other end of a connection.
struct Peer {
  std::string identity;  // by certificate; empty: not known, there is no TLS
  std::string address;   // as gRPC names it, for the log
  const std::string& name() const { return identity.empty() ? address : identity; }
};

// The last part of a SPIFFE id's path; another identity whole. Reporters and subscribers must go by
// it.
std::string NameOf(const std::string& identity);

// What peers may do. Without TLS everything: then only this machine can connect, or the operator
// has allowed it. Immutable.
class AccessPolicy {
 public:
  AccessPolicy(bool enforced, std::vector<AccessRule> rules)
      : enforced_(enforced), rules_(std::move(rules)) {}

  bool enforced() const { return enforced_; }
  // PERMISSION_DENIED: no rule gives the peer this right in this deployment, or `id` (empty: none
  // is claimed) is not its own. `deployment` is empty where a call concerns all.
  absl::Status Check(const Peer& peer, Right right, const std::string& deployment,
                     const std::string& id) const;
  // Is it one of many peers that look alike?
  bool SpeaksForMany(const Peer& peer) const;

 private:
  bool enforced_;
  std::vector<AccessRule> rules_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_ACCESS_POLICY_H_
