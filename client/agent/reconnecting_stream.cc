#include <spdlog/spdlog.h>

#include <utility>

#include "absl/time/clock.h"
#include "client/agent/streams.h"
#include "proto/convert/status.h"

namespace advisor::client {

ReconnectingStream::ReconnectingStream(std::string name, Hub* hub, StreamOptions options,
                                       std::function<absl::Status()> run_once)
    : name_(std::move(name)),
      hub_(hub),
      options_(options),
      run_once_(std::move(run_once)),
      thread_([this] { Run(); }) {}

ReconnectingStream::~ReconnectingStream() { thread_.join(); }

void ReconnectingStream::Run() {
  Backoff backoff(options_.reconnect_min, options_.reconnect_max, options_.jitter_seed);
  std::string last_failure;
  while (!hub_->stopping()) {
    const absl::Time start = absl::Now();
    const absl::Status status = run_once_();
    if (hub_->stopping()) {
      return;
    }
    const absl::Duration lived = absl::Now() - start;
    const absl::Duration pause = backoff.Next(lived, RetryDelayOf(status));
    if (std::string failure(status.message());
        failure != last_failure || lived >= Backoff::kStable) {
      spdlog::warn("{} stream ended: {}; trying again with backoff up to {}", name_,
                   status.ToString(absl::StatusToStringMode::kWithNoExtraData),
                   absl::FormatDuration(options_.reconnect_max));
      last_failure = std::move(failure);
    }
    hub_->WaitStop(absl::Now() + pause);
  }
}

}  // namespace advisor::client
