#ifndef ADVISOR_CORE_SESSION_REPORTER_SESSION_H_
#define ADVISOR_CORE_SESSION_REPORTER_SESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/session/incarnations.h"
#include "core/session/messages.h"
#include "core/session/options.h"
#include "core/window/reporter_window.h"

namespace advisor {

// What one reporter has been counted for, across its streams: the server's half of the report
// protocol without transport. It decides what reaches the reporter's window and what is
// acknowledged.
//
//   unknown --Hello--> awaiting window --Window or key frame--> counting --lease ends--> unknown
//
// Invariants: sequences 1 .. high() of the current incarnation are consumed, each once; sums of key
// frames run from base(), the through_seq of the last Window. Not thread-safe.
class ReporterSession {
 public:
  enum class Result {
    kApplied,
    kDuplicate,  // wholly consumed before: no effect
    kGap,        // something before it is missing: no effect, a key frame is asked for
    kEnd,        // the stream must end, see FrameResult::status
  };
  struct FrameResult {
    Result result = Result::kApplied;
    absl::Status status;
    const Applied* applied = nullptr;  // of the window, valid until its next change; with kApplied
    uint64_t lost_steps = 0;           // newly stated by the agent
  };
  enum class Liveness { kLive, kStale, kGone };
  // Since the daemon started; replayed windows are not counted again.
  struct Counters {
    uint64_t frames = 0, tokens = 0, steps = 0, lost_steps = 0, rejected_blocks = 0,
             duplicate_frames = 0;
  };

  explicit ReporterSession(std::string id) : id_(std::move(id)) {}

  // ABORTED when a newer process has taken over; nothing has changed then.
  absl::Status Admit(const ReporterHello& hello) const;
  // Takes the stream and the incarnation over; fills the fields of the answer that are this
  // session's. `window` is the reporter's own.
  void Open(StreamId stream, const ReporterHello& hello, ReporterWindow* window, absl::Time now,
            HelloAck* ack);
  FrameResult TakeFrame(const Frame& frame, ReporterWindow* window, absl::Time now);
  // INVALID_ARGUMENT: no window was asked for.
  absl::Status TakeWindow(const WindowReplay& replay, ReporterWindow* window, absl::Time now);
  // A frame was lost on this side of the network. Without a word the reporter would wait for its
  // acknowledgement, and once it is out of credit send nothing that could show the gap.
  void TakeGap() { want_key_frame_ = ask_at_once_ = true; }
  void Close() { stream_.reset(); }
  // Its window was dropped: the incarnation is as unknown as after a daemon restart.
  void Forget();

  // The acknowledgement that is due, if any. `window` gives what was refused.
  std::optional<FrameAck> DueAck(const SessionOptions& options, absl::Time now);
  Liveness LivenessAt(const SessionOptions& options, absl::Time now) const;

  bool IsCurrent(const Incarnation& incarnation) const {
    return incarnations_.Judge(incarnation) == Incarnations::Verdict::kCurrent;
  }
  const std::string& id() const { return id_; }
  const std::string& node() const { return node_; }
  std::optional<StreamId> stream() const { return stream_; }
  bool counting() const { return known_; }
  const Position& applied() const { return applied_; }
  const Counters& counters() const { return counters_; }
  uint64_t high() const { return high_; }
  uint64_t base() const { return base_; }
  absl::Time last_heard() const { return last_heard_; }

 private:
  static constexpr size_t kMaxRejects = 16;  // named in one acknowledgement
  static constexpr size_t kMaxMessageBytes = 256;

  FrameResult Apply(const Frame& frame, const Applied& applied);
  void NoteRefused(uint64_t seq, const std::vector<Refused>& refused);

  std::string id_, node_;
  Incarnations incarnations_;
  std::optional<StreamId> stream_;
  bool known_ = false;  // the incarnation's sums are followed
  bool awaiting_window_ = false;
  bool want_key_frame_ = false;
  bool ask_at_once_ = false;  // the gap has just been found
  uint64_t high_ = 0, base_ = 0;
  uint64_t lost_steps_ = 0;  // as the incarnation states them
  Position applied_;
  absl::Time last_heard_ = absl::InfinitePast();
  int unacknowledged_ = 0;  // frames since the last acknowledgement
  absl::Time oldest_unacknowledged_;
  std::vector<BlockReject> rejects_;
  Counters counters_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_REPORTER_SESSION_H_
