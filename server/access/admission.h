#ifndef ADVISOR_SERVER_ACCESS_ADMISSION_H_
#define ADVISOR_SERVER_ACCESS_ADMISSION_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/session/messages.h"
#include "server/access/options.h"
#include "server/access/policy.h"
#include "server/access/token_bucket.h"
#include "server/runtime/clock.h"

namespace advisor::server {

// The door that every stream comes through, before it has said a word: how fast, how many of one
// peer, and how long until its Hello. Thread-safe.
class Admission {
 public:
  using End = std::function<void(const absl::Status&)>;
  // Bounds of what those who come too fast are asked to wait.
  static constexpr absl::Duration kShortestWait = absl::Seconds(1);
  static constexpr absl::Duration kLongestWait = absl::Seconds(30);
  struct Counters {
    uint64_t too_fast = 0, too_many = 0, no_hello = 0;  // streams refused or ended
    uint64_t frames_too_fast = 0;  // not taken; a key frame brings their counts
  };

  Admission(const LimitOptions& limits, int cores, const Clock& clock);

  // RESOURCE_EXHAUSTED: come back later; those who come too fast are given turns as far apart as
  // streams may open, so that a herd is let in as fast as may be and by its second try. `end` is
  // called if no Hello comes in time, without the lock; Close() must follow once the stream is
  // gone, admitted or not.
  absl::Status Open(StreamId id, const Peer& peer, bool counts_streams, End end);
  void HelloCame(StreamId id);
  void Close(StreamId id);
  // Ends those that have not said Hello in time.
  void Tick(absl::Time now);

  void NoteFrameTooFast();

  Counters counters() const;

 private:
  struct Stream {
    std::string identity;  // counted under; empty: not counted
    absl::Time opened;
    End end;  // null once Hello has come
  };

  // How long until the next turn that nobody was given.
  absl::Duration NextTurn(absl::Time now);

  const LimitOptions limits_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  TokenBucket new_streams_;  // guarded by mutex_, like all below
  absl::Time last_turn_ = absl::InfinitePast();
  std::map<StreamId, Stream> streams_;
  std::map<std::string, int> of_peer_;
  Counters counters_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_ACCESS_ADMISSION_H_
