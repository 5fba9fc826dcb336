#ifndef ADVISOR_TESTS_SUPPORT_FAKE_AGENT_H_
#define ADVISOR_TESTS_SUPPORT_FAKE_AGENT_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/session/messages.h"
#include "tests/support/slow_window.h"

namespace advisor::testing {

// The agent's half of the report protocol as plainly as it can be put: frames that wait for their
// acknowledgement, sums for key frames, closed buckets for windows.
class FakeReporter {
 public:
  FakeReporter(const ModelSpec& model, std::string id, std::string node, Incarnation incarnation)
      : model_(model), incarnation_(incarnation), id_(std::move(id)), node_(std::move(node)) {}

  // Counts one step and seals it as a frame.
  void Count(const SumsByKey& sums, Position applied, Rng* rng) {
    Frame frame;
    frame.seq_first = frame.seq_last = next_seq_++;
    frame.steps = 1;
    frame.last_step = ++steps_;
    frame.applied = applied;
    frame.lost_steps = lost_steps_;
    for (const auto& [key, s] : sums) {
      frame.blocks.push_back(BlockOf(model_, key, s, rng));
      total_[key].Add(s);
    }
    buckets_.push_back(frame);
    if (buckets_.size() > kBuckets) {
      buckets_.pop_front();
    }
    waiting_.push_back(std::move(frame));
    applied_ = applied;
  }
  // The engine dropped a step before the agent saw it.
  void Lose() { ++lost_steps_; }

  ReporterHello Hello(const std::string& deployment) const {
    return {deployment, id_, incarnation_, 0, node_, next_seq_};
  }
  void OnHelloAck(const HelloAck& ack) {
    sent_ = 0;
    want_window_ = ack.want_window;
    want_key_ = ack.want_key_frame;
    key_every_ = ack.key_frame_every;
    since_key_ = 0;
    Acknowledge(ack.resume_after_seq);
    const uint64_t next = waiting_.empty() ? next_seq_ : waiting_.front().seq_first;
    want_key_ = want_key_ || (!want_window_ && next != ack.resume_after_seq + 1);
  }
  void OnFrameAck(const FrameAck& ack) {
    Acknowledge(ack.acked_seq);
    want_key_ = want_key_ || (ack.want_key_frame && !key_under_way_);
  }

  // What to send next on an open stream.
  std::optional<WindowReplay> NextWindow() {
    if (!want_window_) {
      return std::nullopt;
    }
    want_window_ = want_key_ = key_under_way_ = false;
    WindowReplay window;
    window.through_seq = base_ = next_seq_ - 1;
    window.buckets.assign(buckets_.begin(), buckets_.end());
    waiting_.clear();
    sent_ = 0;
    total_.clear();
    base_steps_ = steps_;
    return window;
  }
  std::optional<Frame> NextFrame(Rng* rng) {
    const bool due = key_every_ > 0 && since_key_ + 1 >= key_every_ && sent_ < waiting_.size();
    if ((want_key_ || due) && next_seq_ > base_ + 1) {
      want_key_ = false;
      since_key_ = 0;
      key_under_way_ = true;
      Frame key;
      key.key_frame = true;
      key.key_base_seq = base_;
      key.seq_first = base_ + 1;
      key.seq_last = next_seq_ - 1;
      key.steps = steps_ - base_steps_;
      key.last_step = steps_;
      key.lost_steps = lost_steps_;
      key.applied = applied_;
      for (const auto& [k, s] : total_) {
        key.blocks.push_back(BlockOf(model_, k, s, rng));
      }
      waiting_ = {key};
      sent_ = 1;
      return key;
    }
    if (sent_ < waiting_.size()) {
      ++since_key_;
      return waiting_[sent_++];
    }
    return std::nullopt;
  }

  const std::string& id() const { return id_; }
  const std::string& node() const { return node_; }
  uint64_t next_seq() const { return next_seq_; }
  uint64_t steps() const { return steps_; }
  uint64_t lost_steps() const { return lost_steps_; }
  // Steps that the last window covers.
  uint64_t base_steps() const { return base_steps_; }

 private:
  static constexpr size_t kBuckets = 8;

  void Acknowledge(uint64_t seq) {
    while (!waiting_.empty() && waiting_.front().seq_last <= seq) {
      key_under_way_ = key_under_way_ && !waiting_.front().key_frame;
      waiting_.pop_front();
      sent_ -= std::min<size_t>(sent_, 1);
    }
  }

  ModelSpec model_;
  Incarnation incarnation_;
  std::string id_, node_;
  uint64_t next_seq_ = 1, base_ = 0, steps_ = 0, base_steps_ = 0, lost_steps_ = 0;
  Position applied_;
  std::deque<Frame> waiting_;
  size_t sent_ = 0;  // of waiting_, on this stream
  uint32_t key_every_ = 0, since_key_ = 0;
  std::deque<Frame> buckets_;
  SumsByKey total_;  // since base_
  bool want_window_ = false, want_key_ = false, key_under_way_ = false;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_FAKE_AGENT_H_
