#include "server/access/admission.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "proto/convert/status.h"

namespace advisor::server {

Admission::Admission(const LimitOptions& limits, int cores, const Clock& clock)
    : limits_(limits),
      clock_(clock),
      new_streams_(NewStreamsPerSecond(limits, cores), NewStreamsPerSecond(limits, cores)) {}

absl::Status Admission::Open(StreamId id, const Peer& peer, bool counts_streams, End end) {
  std::lock_guard<std::mutex> lock(mutex_);
  const absl::Time now = clock_.Now();
  if (!new_streams_.Take(now)) {
    ++counters_.too_fast;
    return WithRetryDelay(
        absl::ResourceExhaustedError("TOO_MANY_NEW_STREAMS: streams open faster than "
                                     "limits.new_streams_per_s; try again when it is your turn"),
        NextTurn(now));
  }
  if (counts_streams && !peer.identity.empty()) {
    int& open = of_peer_[peer.identity];
    if (open >= limits_.streams_per_peer) {
      ++counters_.too_many;
      return absl::ResourceExhaustedError(absl::StrFormat(
          "TOO_MANY_STREAMS: \"%s\" has %d streams open, limits.streams_per_peer is %d",
          peer.identity, open, limits_.streams_per_peer));
    }
    ++open;
    streams_[id] = {peer.identity, now, std::move(end)};
  } else {
    streams_[id] = {"", now, std::move(end)};
  }
  return absl::OkStatus();
}

absl::Duration Admission::NextTurn(absl::Time now) {
  const absl::Duration apart = absl::Seconds(1) / new_streams_.rate();
  last_turn_ = std::clamp(last_turn_ + apart, now + kShortestWait, now + kLongestWait);
  return last_turn_ - now;
}

void Admission::HelloCame(StreamId id) {
  End done;  // destroyed without the lock
  std::lock_guard<std::mutex> lock(mutex_);
  const auto stream = streams_.find(id);
  if (stream != streams_.end()) {
    done.swap(stream->second.end);
  }
}

void Admission::Close(StreamId id) {
  End done;
  std::lock_guard<std::mutex> lock(mutex_);
  const auto stream = streams_.find(id);
  if (stream == streams_.end()) {
    return;  // was refused
  }
  done.swap(stream->second.end);
  const auto peer = of_peer_.find(stream->second.identity);
  if (peer != of_peer_.end() && --peer->second == 0) {
    of_peer_.erase(peer);
  }
  streams_.erase(stream);
}

void Admission::Tick(absl::Time now) {
  std::vector<End> late;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto& [id, stream] : streams_) {
      if (stream.end && now - stream.opened > absl::Seconds(limits_.hello_timeout_seconds)) {
        late.push_back(std::exchange(stream.end, nullptr));
        ++counters_.no_hello;
      }
    }
  }
  for (const End& end : late) {
    end(absl::DeadlineExceededError(absl::StrFormat(
        "NO_HELLO: the stream said nothing for %d s, limits.hello_timeout_s; begin with a Hello",
        limits_.hello_timeout_seconds)));
  }
}

void Admission::NoteFrameTooFast() {
  std::lock_guard<std::mutex> lock(mutex_);
  ++counters_.frames_too_fast;
}

Admission::Counters Admission::counters() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return counters_;
}

}  // namespace advisor::server
