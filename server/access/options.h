#ifndef ADVISOR_SERVER_ACCESS_OPTIONS_H_
#define ADVISOR_SERVER_ACCESS_OPTIONS_H_

#include <set>
#include <string>
#include <vector>

namespace advisor::server {

// PEM files. Empty `cert`: no TLS. With TLS every peer must show a certificate that `client_ca`
// signed.
struct TlsOptions {
  std::string cert, key;
  std::string client_ca;
  int reload_seconds = 30;  // files that have changed serve new connections; open ones go on
  bool enabled() const { return !cert.empty(); }
};

// What a peer may call: ReportService, PlanService, GroupingService, AdminService.
enum class Right { kReporter, kSubscriber, kRouter, kAdmin };
const char* ToString(Right right);

// Peers of one identity, or of all that begin like it where it ends in "*".
struct AccessRule {
  std::string identity;  // SPIFFE id, else common name
  std::set<Right> rights;
  std::vector<std::string> deployments;  // empty: all
  // May report and subscribe under names other than the last part of its identity (for a gateway
  // that speaks for several nodes), and open more streams than one peer may.
  bool any_id = false;
};

// What one peer, or all together, may cost.
struct LimitOptions {
  int streams_per_connection = 100;   // further calls wait for one to end
  int streams_per_peer = 4;           // open at a time; of peers known by certificate
  int new_streams_per_second = 0;     // 0: by cores, see NewStreamsPerSecond()
  int hello_timeout_seconds = 5;      // a connection or stream that does not begin is ended
  int connection_age_seconds = 1800;  // then clients are told to connect anew, +-10 %
  int connection_grace_seconds = 30;  // and streams that stay are ended
  int keepalive_seconds = 30, keepalive_timeout_seconds = 10;
  // Of all connections' buffers in gRPC together, about; 0: no limit. Near it gRPC takes messages
  // more slowly, beyond it it drops connections.
  int transport_megabytes = 0;
};

// The configured number, else 200 + 50 x cores but at most 2000: a whole fleet is back within
// seconds of a restart, and no faster than it can be served.
int NewStreamsPerSecond(const LimitOptions& limits, int cores);

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_ACCESS_OPTIONS_H_
