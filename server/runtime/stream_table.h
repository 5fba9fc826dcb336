#ifndef ADVISOR_SERVER_RUNTIME_STREAM_TABLE_H_
#define ADVISOR_SERVER_RUNTIME_STREAM_TABLE_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "core/session/messages.h"

namespace advisor::server {

// Hands out identities of streams; none twice.
class StreamIds {
 public:
  StreamId Next() { return StreamId(++last_); }

 private:
  std::atomic<uint64_t> last_{0};
};

// The open streams of one kind, from any thread.
template <typename Stream>
class StreamTable {
 public:
  explicit StreamTable(size_t limit) : limit_(limit) {}

  // False: as many as the limit are open.
  bool Add(StreamId id, std::shared_ptr<Stream> stream) {
    std::lock_guard<std::mutex> lock(mutex_);
    return streams_.size() < limit_ && streams_.emplace(id, std::move(stream)).second;
  }
  void Remove(StreamId id) {
    std::shared_ptr<Stream> last;  // destroyed without the lock
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = streams_.find(id);
    if (found != streams_.end()) {
      last = std::move(found->second);
      streams_.erase(found);
    }
  }
  // Null: not open (any more).
  std::shared_ptr<Stream> Find(StreamId id) const {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto found = streams_.find(id);
    return found == streams_.end() ? nullptr : found->second;
  }
  size_t size() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return streams_.size();
  }
  std::vector<std::shared_ptr<Stream>> All() const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<Stream>> all;
    for (const auto& [id, stream] : streams_) {
      all.push_back(stream);
    }
    return all;
  }

 private:
  const size_t limit_;
  mutable std::mutex mutex_;
  std::map<StreamId, std::shared_ptr<Stream>> streams_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_STREAM_TABLE_H_
