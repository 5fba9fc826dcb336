#include "core/session/reporter_session.h"

#include <algorithm>
#include <utility>

#include "core/session/errors.h"

namespace advisor {

absl::Status ReporterSession::Admit(const ReporterHello& hello) const {
  if (incarnations_.Judge(hello.incarnation) == Incarnations::Verdict::kRetired) {
    return error::StaleIncarnation(id_);
  }
  return absl::OkStatus();
}

void ReporterSession::Open(StreamId stream, const ReporterHello& hello, ReporterWindow* window,
                           absl::Time now, HelloAck* ack) {
  if (incarnations_.Judge(hello.incarnation) == Incarnations::Verdict::kNew) {
    Forget();
    lost_steps_ = 0;
    incarnations_.Accept(hello.incarnation);
  }
  if (!known_) {
    window->Rebase();
    // Nothing was sent yet: nothing to replay.
    awaiting_window_ = hello.next_seq > 1;
    known_ = !awaiting_window_;
  }
  stream_ = stream;
  node_ = hello.node;
  last_heard_ = now;
  unacknowledged_ = 0;
  rejects_.clear();
  ack->resume_after_seq = high_;
  ack->want_window = awaiting_window_;
  ack->want_key_frame = want_key_frame_ && !awaiting_window_;
}

void ReporterSession::Forget() {
  known_ = awaiting_window_ = want_key_frame_ = ask_at_once_ = false;
  high_ = base_ = 0;
  applied_ = {};
}

ReporterSession::FrameResult ReporterSession::TakeFrame(const Frame& frame, ReporterWindow* window,
                                                        absl::Time now) {
  last_heard_ = now;
  if (frame.seq_first < 1 || frame.seq_last < frame.seq_first) {
    return {Result::kEnd, error::BadSequence(id_, frame)};
  }
  if (unacknowledged_++ == 0) {
    oldest_unacknowledged_ = now;
  }
  if (frame.seq_last <= high_) {
    ++counters_.duplicate_frames;
    return {Result::kDuplicate, absl::OkStatus()};
  }
  if (frame.key_frame) {
    if (frame.key_base_seq != base_) {
      return {Result::kEnd, error::UnknownKeyBase(id_, frame.key_base_seq, base_)};
    }
    known_ = true;
    awaiting_window_ = want_key_frame_ = false;
    return Apply(frame, window->AddCumulative(frame.blocks, frame.steps, frame.samples));
  }
  if (!known_ || frame.seq_first != high_ + 1) {
    ask_at_once_ = !want_key_frame_;
    want_key_frame_ = true;
    return {Result::kGap, absl::OkStatus()};
  }
  return Apply(frame, window->Add(frame.blocks, frame.steps, frame.samples));
}

ReporterSession::FrameResult ReporterSession::Apply(const Frame& frame, const Applied& applied) {
  FrameResult result;
  result.applied = &applied;
  result.lost_steps = frame.lost_steps - std::min(frame.lost_steps, lost_steps_);
  lost_steps_ += result.lost_steps;
  high_ = frame.seq_last;
  applied_ = frame.applied;
  ++counters_.frames;
  counters_.tokens += applied.tokens;
  counters_.steps += applied.steps;
  counters_.lost_steps += result.lost_steps;
  NoteRefused(frame.seq_last, applied.refused);
  return result;
}

absl::Status ReporterSession::TakeWindow(const WindowReplay& replay, ReporterWindow* window,
                                         absl::Time now) {
  last_heard_ = now;
  if (!awaiting_window_) {
    return error::WindowNotWanted(id_);
  }
  for (const Frame& bucket : replay.buckets) {
    const Applied& applied = window->AddBucket(bucket.blocks, bucket.steps, bucket.samples);
    NoteRefused(replay.through_seq, applied.refused);
  }
  window->Rebase();
  known_ = true;
  awaiting_window_ = want_key_frame_ = false;
  high_ = base_ = replay.through_seq;
  if (!replay.buckets.empty()) {
    applied_ = replay.buckets.back().applied;
  }
  if (unacknowledged_++ == 0) {
    oldest_unacknowledged_ = now;
  }
  return absl::OkStatus();
}

void ReporterSession::NoteRefused(uint64_t seq, const std::vector<Refused>& refused) {
  for (const Refused& block : refused) {
    ++counters_.rejected_blocks;
    if (rejects_.size() < kMaxRejects) {
      rejects_.push_back({seq, block.domain.substr(0, kLongestDomain), block.phase,
                          static_cast<uint32_t>(block.fault.layer), block.fault.reason,
                          block.fault.message.substr(0, kMaxMessageBytes), block.tokens});
    }
  }
}

std::optional<FrameAck> ReporterSession::DueAck(const SessionOptions& options, absl::Time now) {
  const bool due = ask_at_once_ || unacknowledged_ >= options.ack_every_frames ||
                   (unacknowledged_ > 0 && now - oldest_unacknowledged_ >= options.ack_delay);
  if (!due || !stream_.has_value()) {
    return std::nullopt;
  }
  FrameAck ack;
  ack.acked_seq = high_;
  ack.credits = options.credits;
  ack.rejects = std::exchange(rejects_, {});
  ack.rejected_blocks = counters_.rejected_blocks;
  ack.want_key_frame = want_key_frame_;
  unacknowledged_ = 0;
  ask_at_once_ = false;
  return ack;
}

ReporterSession::Liveness ReporterSession::LivenessAt(const SessionOptions& options,
                                                      absl::Time now) const {
  const absl::Duration silence = now - last_heard_;
  if (silence > options.reporter_lease) {
    return Liveness::kGone;
  }
  return silence > 3 * options.max_report_interval ? Liveness::kStale : Liveness::kLive;
}

}  // namespace advisor
