#ifndef ADVISOR_CLIENT_AGENT_STREAMS_H_
#define ADVISOR_CLIENT_AGENT_STREAMS_H_

#include <grpcpp/channel.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/agent/backoff.h"
#include "client/agent/hub.h"

namespace advisor::client {

struct StreamOptions {
  absl::Duration reconnect_min = absl::Seconds(1);
  absl::Duration reconnect_max = absl::Seconds(60);
  // A plan stream on which nothing came for so long is given up: three Progress missed.
  absl::Duration progress_timeout = absl::Seconds(30);
  uint64_t jitter_seed = 1;
};

// Keeps one stream to the daemon open, with backoff, in a thread of its own until the hub stops.
// Failures are logged when they begin, and when they end.
class ReconnectingStream {
 public:
  // `run_once` opens the stream, serves it and returns how it ended. `name` is for the log.
  ReconnectingStream(std::string name, Hub* hub, StreamOptions options,
                     std::function<absl::Status()> run_once);
  ~ReconnectingStream();  // the hub must have been stopped

 private:
  void Run();

  const std::string name_;
  Hub* const hub_;
  const StreamOptions options_;
  const std::function<absl::Status()> run_once_;
  std::thread thread_;
};

// One life of a Report stream, until it ends or the hub stops.
absl::Status RunReportStream(const std::shared_ptr<grpc::Channel>& channel, Hub* hub);
// One life of a Subscribe stream.
absl::Status RunPlanStream(const std::shared_ptr<grpc::Channel>& channel, Hub* hub,
                           absl::Duration progress_timeout);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_STREAMS_H_
