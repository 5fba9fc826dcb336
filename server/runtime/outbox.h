#ifndef ADVISOR_SERVER_RUNTIME_OUTBOX_H_
#define ADVISOR_SERVER_RUNTIME_OUTBOX_H_

#include <algorithm>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/runtime/clock.h"

namespace advisor::server {

// The way out of one stream: one message in flight, and behind it one waiting per kind, where the
// latest wins. So a slow reader costs a bounded amount and always gets the newest state next.
// Thread-safe; calls the writer without holding its lock.
//
// A transport finishes a stream exactly once, after its last write, and may vanish from then on:
// Finish() is the last call that the writer gets.
template <typename Message>
class Outbox {
 public:
  class Writer {
   public:
    virtual ~Writer() = default;
    // `message` lives until OnWriteDone() is called.
    virtual void StartWrite(const Message& message) = 0;
    // Makes a write in flight end soon, with OnWriteDone(false).
    virtual void Cancel() = 0;
    virtual void Finish(const absl::Status& status) = 0;
  };
  // Folds a waiting message that is about to be replaced into its successor; null: it is dropped.
  using Merge = std::function<void(const Message& replaced, Message* message)>;

  Outbox(Writer* writer, const Clock& clock, Merge merge = nullptr)
      : writer_(writer), clock_(clock), merge_(std::move(merge)) {}

  // Sends, or waits as the last in line; a waiting message of the same kind is replaced.
  void Send(int kind, Message message) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (ending_) {
        return;
      }
      const auto same = std::find_if(waiting_.begin(), waiting_.end(),
                                     [&](const Waiting& w) { return w.kind == kind; });
      if (same != waiting_.end()) {
        if (merge_) {
          merge_(same->message, &message);
        }
        waiting_.erase(same);
      }
      waiting_.push_back({kind, std::move(message)});
      if (in_flight_) {
        return;
      }
      TakeNext();
    }
    writer_->StartWrite(*in_flight_);
  }

  // Finishes the stream once the write in flight is done; what waits is dropped. The first status
  // given counts.
  void End(absl::Status status) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (ending_) {
        return;
      }
      ending_ = std::move(status);
      waiting_.clear();
      if (!MayFinish()) {
        return;
      }
      finished_ = true;
    }
    writer_->Finish(*ending_);
  }

  // The write in flight has left, or (not ok) the peer is gone.
  void OnWriteDone(bool ok) {
    bool finish = false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      in_flight_.reset();
      if (!ok && !ending_) {
        ending_ = absl::CancelledError("peer is gone");
        waiting_.clear();
      }
      if (ending_) {
        finish = MayFinish();
        finished_ = finished_ || finish;
      } else if (!waiting_.empty()) {
        TakeNext();
      }
      if (!finish && !in_flight_) {
        return;
      }
    }
    finish ? writer_->Finish(*ending_) : writer_->StartWrite(*in_flight_);
  }

  // Ends the stream when its write in flight began before `cutoff`. Returns whether it did.
  bool EndIfStalled(absl::Time cutoff, absl::Status status) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (ending_ || !in_flight_ || write_began_ >= cutoff) {
        return false;
      }
      ending_ = std::move(status);
      waiting_.clear();
      cancelling_ = true;
    }
    writer_->Cancel();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      cancelling_ = false;
      if (!MayFinish()) {
        return true;
      }
      finished_ = true;
    }
    writer_->Finish(*ending_);
    return true;
  }

  bool ended() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return ending_.has_value();
  }

 private:
  struct Waiting {
    int kind;
    Message message;
  };

  void TakeNext() {
    in_flight_ = std::move(waiting_.front().message);
    waiting_.erase(waiting_.begin());
    write_began_ = clock_.Now();
  }
  // While a Cancel() is under way the writer must not vanish.
  bool MayFinish() const { return ending_ && !in_flight_ && !cancelling_ && !finished_; }

  Writer* const writer_;
  const Clock& clock_;
  const Merge merge_;
  mutable std::mutex mutex_;
  std::vector<Waiting> waiting_;        // guarded by mutex_, like all below; one per kind
  std::optional<Message> in_flight_;    // read without the lock by the one that starts its write
  std::optional<absl::Status> ending_;  // set once, then read without the lock
  absl::Time write_began_;
  bool cancelling_ = false, finished_ = false;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_OUTBOX_H_
