#include "server/access/policy.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace advisor::server {
namespace {

bool Matches(const AccessRule& rule, const std::string& identity) {
  if (!absl::EndsWith(rule.identity, "*")) {
    return rule.identity == identity;
  }
  return absl::StartsWith(identity,
                          absl::string_view(rule.identity).substr(0, rule.identity.size() - 1));
}

bool Covers(const AccessRule& rule, const std::string& deployment) {
  return rule.deployments.empty() || std::find(rule.deployments.begin(), rule.deployments.end(),
                                               deployment) != rule.deployments.end();
}

}  // namespace

const char* ToString(Right right) {
  switch (right) {
    case Right::kReporter:
      return "reporter";
    case Right::kSubscriber:
      return "subscriber";
    case Right::kRouter:
      return "router";
    case Right::kAdmin:
      return "admin";
  }
  return "?";
}

int NewStreamsPerSecond(const LimitOptions& limits, int cores) {
  return limits.new_streams_per_second > 0 ? limits.new_streams_per_second
                                           : std::min(200 + 50 * cores, 2000);
}

std::string NameOf(const std::string& identity) {
  return absl::StartsWith(identity, "spiffe://") ? identity.substr(identity.rfind('/') + 1)
                                                 : identity;
}

absl::Status AccessPolicy::Check(const Peer& peer, Right right, const std::string& deployment,
                                 const std::string& id) const {
  if (!enforced_) {
    return absl::OkStatus();
  }
  bool other_id = false;
  for (const AccessRule& rule : rules_) {
    if (!Matches(rule, peer.identity) || !rule.rights.contains(right) ||
        !Covers(rule, deployment)) {
      continue;
    }
    if (id.empty() || rule.any_id || id == NameOf(peer.identity)) {
      return absl::OkStatus();
    }
    other_id = true;
  }
  if (other_id) {
    return absl::PermissionDeniedError(
        absl::StrFormat("IDENTITY_MISMATCH: the certificate is \"%s\"'s, the id is \"%s\", must be "
                        "\"%s\" (or the access rule needs any_id)",
                        peer.identity, id, NameOf(peer.identity)));
  }
  return absl::PermissionDeniedError(absl::StrFormat(
      "NOT_ALLOWED: no access rule makes \"%s\" a %s%s%s", peer.identity, ToString(right),
      deployment.empty() ? "" : " of deployment ", deployment.substr(0, 128)));
}

bool AccessPolicy::SpeaksForMany(const Peer& peer) const {
  return peer.identity.empty() ||
         std::any_of(rules_.begin(), rules_.end(), [&](const AccessRule& rule) {
           return rule.any_id && Matches(rule, peer.identity);
         });
}

}  // namespace advisor::server
