#ifndef ADVISOR_CLIENT_CHANNEL_H_
#define ADVISOR_CLIENT_CHANNEL_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace CLI {
class App;
}

namespace advisor::client {

// How to reach a daemon.
struct ChannelOptions {
  std::string server = "127.0.0.1:9470";  // host:port or unix:path
  std::string tls_ca;                     // PEM file; empty: no TLS
  std::string tls_cert, tls_key;          // this side's identity, both or neither
  absl::Duration reconnect_min = absl::Seconds(1);
  absl::Duration reconnect_max = absl::Seconds(60);
};

// --server and the TLS flags.
void AddChannelFlags(CLI::App* app, ChannelOptions* options);

// How long a connection may take to come about. Given up sooner, those who come to a busy daemon
// all at once would never be done: each attempt that is given up costs it as much as one that ends
// well.
inline constexpr absl::Duration kConnectTimeout = absl::Seconds(10);

grpc::ChannelArguments ChannelArgumentsFor(const ChannelOptions& options);

// Does not connect. INVALID_ARGUMENT: TLS flags that do not go together; NOT_FOUND: a file that
// cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CHANNEL_H_
