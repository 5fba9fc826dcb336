#ifndef ADVISOR_SERVER_RUNTIME_MAILBOX_H_
#define ADVISOR_SERVER_RUNTIME_MAILBOX_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace advisor::server {

// Who may be refused when a mailbox is full.
enum class Lane {
  kReports,   // frames: a refused one is told as a gap, and the sender's key frame heals it
  kControl,   // streams opening, acknowledgements, commands, queries: the sender is told to come
              // back
  kInternal,  // answers to what the engine itself asked for, ends of streams, and one gap at a time
              // per stream: never refused, one for each thing accepted before
};
inline constexpr int kLanes = 3;

struct MailboxLimits {
  size_t reports = 4096;
  size_t report_bytes = 256u << 20;
  size_t control = 16384;
};

// A bounded queue from many threads to one, in order across lanes.
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(MailboxLimits limits) : limits_(limits) {}

  // False, and counted: the lane is full. False after Close() too, except in kInternal before the
  // last Take(). `wake`: whoever waits is woken.
  bool Push(Lane lane, size_t bytes, T item, bool wake = true) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (finished_ || (lane != Lane::kInternal && (closed_ || IsFull(lane)))) {
        ++refused_[static_cast<int>(lane)];
        return false;
      }
      waiting_.push_back({lane, bytes, std::move(item)});
      ++count_[static_cast<int>(lane)];
      bytes_ += bytes;
    }
    if (wake) {
      wake_.notify_one();
    }
    return true;
  }

  void Wake() { wake_.notify_one(); }

  // Waits until something can be taken, or `deadline`.
  void Wait(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock<std::mutex> lock(mutex_);
    wake_.wait_until(lock, deadline, [this] { return closed_ || !waiting_.empty(); });
  }

  // Moves all that waits to *out (cleared first). False once closed and empty: the end.
  bool Take(std::vector<T>* out) {
    out->clear();
    std::lock_guard<std::mutex> lock(mutex_);
    for (Entry& entry : waiting_) {
      out->push_back(std::move(entry.item));
    }
    waiting_.clear();
    count_ = {};
    bytes_ = 0;
    finished_ = closed_ && out->empty();
    return !finished_;
  }

  // Open, and nothing waits.
  bool IsIdle() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return !closed_ && waiting_.empty();
  }

  // Open, and something waits.
  bool HasWaiting() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return !closed_ && !waiting_.empty();
  }

  // What is in is still delivered.
  void Close() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closed_ = true;
    }
    wake_.notify_one();
  }

  // Items refused so far, by lane.
  std::array<uint64_t, kLanes> refused() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return refused_;
  }

 private:
  struct Entry {
    Lane lane;
    size_t bytes;
    T item;
  };

  bool IsFull(Lane lane) const {
    return lane == Lane::kReports
               ? count_[static_cast<int>(lane)] >= limits_.reports || bytes_ >= limits_.report_bytes
               : count_[static_cast<int>(lane)] >= limits_.control;
  }

  const MailboxLimits limits_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Entry> waiting_;  // guarded by mutex_, like all below
  std::array<size_t, kLanes> count_{};
  size_t bytes_ = 0;
  std::array<uint64_t, kLanes> refused_{};
  bool closed_ = false, finished_ = false;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_MAILBOX_H_
