#include "client/agent/report_session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/window/counts.h"
#include "proto/convert/counts.h"

namespace advisor::client {
namespace {

// What a daemon that says nothing gets.
constexpr uint32_t kDefaultMinIntervalMs = 250;
constexpr uint32_t kDefaultMaxIntervalMs = 1000;
constexpr uint32_t kDefaultBuckets = 8;
constexpr uint64_t kDefaultBucketTokens = 8192;
constexpr uint64_t kDefaultBucketSteps = 1000;
constexpr uint32_t kDefaultFrameBytes = 4u << 20;
constexpr size_t kBlockBytes = 64;  // of a block on the wire, without its domain's name and counts

template <typename T>
T OrDefault(T value, T fallback) {
  return value == 0 ? fallback : value;
}

int FindNode(const Topology& topology, const std::string& name) {
  for (int n = 0; n < topology.node_count(); ++n) {
    if (topology.nodes()[n].name == name) {
      return n;
    }
  }
  return -1;
}

bool SameShape(const ModelSpec& a, const ModelSpec& b) {
  return a.moe_layers == b.moe_layers && a.experts == b.experts && a.top_k == b.top_k;
}

ReportBlock* FindBlock(Frame* frame, const ReportBlock& like) {
  for (ReportBlock& block : frame->blocks) {
    if (block.phase == like.phase && block.domain == like.domain) {
      return &block;
    }
  }
  return nullptr;
}

size_t SampleBytes(const std::vector<SampledRequest>& samples) {
  size_t bytes = 0;
  for (const SampledRequest& s : samples) {
    bytes += s.experts.size() + s.domain.size() + 24;
  }
  return bytes;
}

}  // namespace

Frame MergeFrames(const Frame& first, const Frame& second, const ModelSpec& model) {
  Frame out = first;
  out.seq_last = second.seq_last;
  out.steps += second.steps;
  out.last_step = second.last_step;
  out.lost_steps = second.lost_steps;
  out.applied = second.applied;
  out.applied_hash = second.applied_hash;
  out.samples.insert(out.samples.end(), second.samples.begin(), second.samples.end());
  std::vector<uint32_t> cells(size_t(model.moe_layers) * model.experts);
  for (const ReportBlock& block : second.blocks) {
    ReportBlock* into = FindBlock(&out, block);
    if (into == nullptr) {
      out.blocks.push_back(block);
      continue;
    }
    std::fill(cells.begin(), cells.end(), 0);
    for (const EncodedCounts* counts : {&std::as_const(into->counts), &block.counts}) {
      ADVISOR_CHECK(!AddUnchecked(model, *counts, cells.data()));  // encoded here
    }
    into->counts = EncodeCounts(cells, model.experts);
    into->tokens += block.tokens;
    into->visit_tokens += block.visit_tokens;
    into->remote_visits += block.remote_visits;
    into->baseline_remote_visits += block.baseline_remote_visits;
  }
  if (first.applied != second.applied) {
    for (ReportBlock& block : out.blocks) {
      block.visit_tokens = block.remote_visits = 0;
      block.baseline_remote_visits = 0;
    }
  }
  return out;
}

size_t EstimateBytes(const Frame& frame) {
  size_t bytes = 96 + SampleBytes(frame.samples);
  for (const ReportBlock& block : frame.blocks) {
    bytes += kBlockBytes + block.domain.size() + block.counts.data.size();
  }
  return bytes;
}

ReportSession::ReportSession(ReporterIdentity identity,
                             std::function<Incarnation()> new_incarnation)
    : identity_(std::move(identity)),
      new_incarnation_(std::move(new_incarnation)),
      incarnation_(new_incarnation_()) {}

absl::Status ReportSession::SetModel(const ModelSpec& model, const Topology& topology) {
  if (aggregator_ && aggregator_->model() == model && aggregator_->topology() == topology) {
    return absl::OkStatus();
  }
  const int node = FindNode(topology, identity_.node);
  if (node < 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "node \"%s\" is not in the topology of deployment \"%s\"; give --node one of its names",
        identity_.node, identity_.deployment));
  }
  if (aggregator_) {
    if (SameShape(aggregator_->model(), model)) {
      Seal();
    } else {
      // Counts of another shape mean nothing to the new model.
      StartOver();
      lost_steps_ += aggregator_->sums().steps;
      buckets_.clear();
      bucket_ = {};
      bucket_samples_.clear();
      bucket_sample_bytes_ = 0;
    }
  }
  aggregator_.emplace(model, topology, NodeId(node), static_cast<int>(limits_.sample_tokens));
  node_index_ = node;
  return absl::OkStatus();
}

// A new incarnation. Whether frames under way were counted will not be known: they are lost.
void ReportSession::StartOver() {
  incarnation_ = new_incarnation_();
  lost_before_ = lost_steps_;
  for (const Frame& frame : queue_) {
    lost_steps_ += frame.key_frame ? 0 : frame.steps;
  }
  sent_lost_steps_ = 0;
  next_seq_ = 1;
  key_base_seq_ = 0;
  cumulative_ = {};
  queue_.clear();
  in_flight_ = 0;
}

absl::Status ReportSession::Record(const Step& step) {
  const uint32_t steps = std::max<uint32_t>(1, step.merged_steps);
  uint64_t tokens = 0;
  for (const StepBlock& block : step.blocks) {
    tokens += block.tokens;
  }
  if (!aggregator_ || aggregator_->sums().tokens + tokens > kMaxTokens) {
    lost_steps_ += steps;
    return absl::OkStatus();
  }
  if (absl::Status status = aggregator_->Check(step); !status.ok()) {
    return status;
  }
  if (!aggregator_->SamePlacement(step)) {
    Seal();
  }
  aggregator_->Count(step);
  total_steps_ += steps;
  total_tokens_ += tokens;
  return absl::OkStatus();
}

void ReportSession::SetLostSteps(uint64_t client, uint64_t lost_steps, uint64_t acked) {
  if (client_lost_.size() >= kMaxClients && !client_lost_.contains(client)) {
    client_lost_.clear();  // what they lost stays counted
  }
  uint64_t& seen = client_lost_[client];
  seen = std::max(seen, std::min(acked, lost_steps));
  if (lost_steps > seen) {
    lost_steps_ += lost_steps - seen;
    seen = lost_steps;
  }
}

void ReportSession::AddPlacement(const Plan& plan) {
  if (aggregator_ && SameShape(aggregator_->model(), plan.model) &&
      aggregator_->topology() == plan.topology) {
    aggregator_->AddPlacement(plan);
  }
}

void ReportSession::Seal() {
  const StepSums& sums = aggregator_->sums();
  Frame frame =
      EncodeSums(sums, aggregator_->model().experts, aggregator_->topology().node_count());
  frame.seq_first = frame.seq_last = next_seq_++;
  frame.lost_steps = lost_steps_ - lost_before_;
  frame.samples = aggregator_->TakeSamples();
  FitSamples(&frame);
  AddSums(sums, &cumulative_);
  AddToBucket(frame);
  aggregator_->Clear();
  queue_.push_back(std::move(frame));
  if (queue_.size() > std::max<size_t>(kMaxQueued, in_flight_ + 1)) {
    MergeOldestWaiting();
  }
}

void ReportSession::FitSamples(Frame* frame) const {
  const size_t limit = OrDefault(limits_.max_frame_bytes, kDefaultFrameBytes);
  while (!frame->samples.empty() && EstimateBytes(*frame) > limit) {
    frame->samples.resize(frame->samples.size() / 2);
  }
}

void ReportSession::AddToBucket(const Frame& frame) {
  const StepSums& sums = aggregator_->sums();
  if (bucket_.steps != 0 && bucket_.applied != sums.applied) {
    CloseBucket();
  }
  AddSums(sums, &bucket_);
  for (const SampledRequest& sample : frame.samples) {
    bucket_sample_bytes_ += sample.experts.size();
    if (bucket_sample_bytes_ > kMaxBucketSampleBytes) {
      break;
    }
    bucket_samples_.push_back(sample);
  }
  if (bucket_.tokens >= OrDefault(limits_.bucket_tokens, kDefaultBucketTokens) ||
      bucket_.steps >= OrDefault(limits_.bucket_steps, kDefaultBucketSteps)) {
    CloseBucket();
  }
}

void ReportSession::CloseBucket() {
  if (bucket_.steps == 0) {
    return;
  }
  Frame frame =
      EncodeSums(bucket_, aggregator_->model().experts, aggregator_->topology().node_count());
  frame.samples = std::move(bucket_samples_);
  buckets_.push_back(std::move(frame));
  while (buckets_.size() > OrDefault(limits_.window_buckets, kDefaultBuckets)) {
    buckets_.pop_front();
  }
  ClearSums(&bucket_);
  bucket_samples_.clear();
  bucket_sample_bytes_ = 0;
}

// The two oldest frames that are not under way become one, with the sequences of both.
void ReportSession::MergeOldestWaiting() {
  Frame& first = queue_[in_flight_];
  if (first.key_frame) {
    // What the key frame carries already is cumulative; it takes the later frame's place in whole.
    queue_.erase(queue_.begin() + in_flight_, queue_.end());
    want_key_frame_ = true;
    return;
  }
  first = MergeFrames(first, queue_[in_flight_ + 1], aggregator_->model());
  queue_.erase(queue_.begin() + in_flight_ + 1);
}

ReporterHello ReportSession::Hello() const {
  ReporterHello hello;
  hello.deployment = identity_.deployment;
  hello.reporter_id = identity_.reporter_id;
  hello.incarnation = incarnation_;
  hello.node = identity_.node;
  hello.next_seq = next_seq_;
  hello.features.samples = true;
  return hello;
}

absl::Status ReportSession::OnHelloAck(const HelloAck& ack) {
  limits_ = ack;
  const Incarnation before = incarnation_;
  if (absl::Status status = SetModel(ack.model, ack.topology); !status.ok()) {
    return status;
  }
  aggregator_->SetSampleTokens(static_cast<int>(ack.sample_tokens));
  if (incarnation_ != before) {
    return absl::AbortedError("the deployment's model has changed; starting anew");
  }
  while (!queue_.empty() && queue_.front().seq_last <= ack.resume_after_seq) {
    queue_.pop_front();
  }
  in_flight_ = 0;
  const uint64_t next = queue_.empty() ? next_seq_ : queue_.front().seq_first;
  const bool gap =
      next != ack.resume_after_seq + 1 && (queue_.empty() || !queue_.front().key_frame);
  want_window_ = ack.want_window;
  want_key_frame_ = ack.want_key_frame || (gap && !ack.want_window);
  open_ = true;
  frames_since_key_ = 0;
  last_sent_ = absl::InfinitePast();
  return absl::OkStatus();
}

void ReportSession::OnFrameAck(const FrameAck& ack) {
  while (!queue_.empty() && in_flight_ > 0 && queue_.front().seq_last <= ack.acked_seq) {
    queue_.pop_front();
    --in_flight_;
  }
  limits_.credits = ack.credits;
  rejected_blocks_ = std::max(rejected_blocks_, ack.rejected_blocks);
  // Acknowledgements of frames sent before the key frame keep asking for it.
  const bool key_under_way = std::any_of(queue_.begin(), queue_.begin() + in_flight_,
                                         [](const Frame& f) { return f.key_frame; });
  want_key_frame_ = want_key_frame_ || (ack.want_key_frame && !key_under_way);
}

void ReportSession::OnStreamEnd() {
  open_ = want_window_ = want_key_frame_ = false;
  in_flight_ = 0;
}

bool ReportSession::HasNews() const {
  return (aggregator_ && aggregator_->sums().steps > 0) ||
         lost_steps_ - lost_before_ != sent_lost_steps_;
}

std::optional<ReportSession::Message> ReportSession::Next(absl::Time now) {
  if (!open_) {
    return std::nullopt;
  }
  if (want_window_) {
    want_window_ = want_key_frame_ = false;
    return MakeWindow();
  }
  const auto min_interval =
      absl::Milliseconds(OrDefault(limits_.min_interval_ms, kDefaultMinIntervalMs));
  const auto max_interval =
      absl::Milliseconds(OrDefault(limits_.max_interval_ms, kDefaultMaxIntervalMs));
  if (now < last_sent_ + min_interval || limits_.credits == 0) {
    return std::nullopt;
  }
  if (want_key_frame_) {
    want_key_frame_ = false;
    if (!KeyFrameFits()) {
      Seal();
      StartOver();
      return Restart{};
    }
    last_sent_ = now;
    return MakeKeyFrame();
  }
  if (in_flight_ >= limits_.credits) {
    return std::nullopt;
  }
  if (in_flight_ == queue_.size()) {
    if (!HasNews() && now < last_sent_ + max_interval) {
      return std::nullopt;
    }
    if (limits_.key_frame_every != 0 && frames_since_key_ + 1 >= limits_.key_frame_every &&
        KeyFrameFits()) {
      last_sent_ = now;
      return MakeKeyFrame();
    }
    Seal();
  }
  last_sent_ = now;
  ++frames_since_key_;
  const Frame& frame = queue_[in_flight_++];
  sent_lost_steps_ = std::max(sent_lost_steps_, frame.lost_steps);
  return frame;
}

absl::Time ReportSession::NextTime() const {
  if (!open_) {
    return absl::InfiniteFuture();
  }
  if (want_window_) {
    return absl::InfinitePast();
  }
  if (limits_.credits == 0 || (!want_key_frame_ && in_flight_ >= limits_.credits)) {
    return absl::InfiniteFuture();
  }
  const bool soon = want_key_frame_ || in_flight_ < queue_.size() || HasNews();
  return last_sent_ +
         absl::Milliseconds(soon ? OrDefault(limits_.min_interval_ms, kDefaultMinIntervalMs)
                                 : OrDefault(limits_.max_interval_ms, kDefaultMaxIntervalMs));
}

bool ReportSession::KeyFrameFits() const {
  const StepSums& open = aggregator_->sums();
  size_t blocks = cumulative_.blocks.size();
  for (const BlockSums& block : open.blocks) {
    blocks += std::none_of(cumulative_.blocks.begin(), cumulative_.blocks.end(),
                           [&](const BlockSums& sum) {
                             return sum.phase == block.phase && sum.domain == block.domain;
                           });
  }
  const ModelSpec& model = aggregator_->model();
  const size_t block_bytes =
      kBlockBytes + size_t(model.moe_layers) * model.experts * sizeof(uint32_t);
  return cumulative_.tokens + open.tokens <= kMaxTokens &&
         blocks * block_bytes <= OrDefault(limits_.max_frame_bytes, kDefaultFrameBytes);
}

Frame ReportSession::MakeKeyFrame() {
  frames_since_key_ = 0;
  queue_.clear();
  in_flight_ = 0;
  Seal();
  Frame sealed = std::move(queue_.back());
  Frame key =
      EncodeSums(cumulative_, aggregator_->model().experts, aggregator_->topology().node_count());
  key.seq_first = key_base_seq_ + 1;
  key.seq_last = sealed.seq_last;
  key.lost_steps = sealed.lost_steps;
  key.samples = std::move(sealed.samples);
  FitSamples(&key);
  key.key_frame = true;
  key.key_base_seq = key_base_seq_;
  queue_.back() = key;
  in_flight_ = 1;
  sent_lost_steps_ = key.lost_steps;
  return key;
}

WindowReplay ReportSession::MakeWindow() {
  CloseBucket();
  WindowReplay window;
  window.through_seq = next_seq_ - 1;
  // Newest first until the message is full; counts of a bucket before its samples.
  size_t room = OrDefault(limits_.max_frame_bytes, kDefaultFrameBytes);
  for (auto it = buckets_.rbegin(); it != buckets_.rend(); ++it) {
    Frame bucket = *it;
    if (EstimateBytes(bucket) > room) {
      bucket.samples.clear();
    }
    if (EstimateBytes(bucket) > room) {
      break;
    }
    room -= EstimateBytes(bucket);
    window.buckets.push_back(std::move(bucket));
  }
  std::reverse(window.buckets.begin(), window.buckets.end());
  queue_.clear();
  in_flight_ = 0;
  key_base_seq_ = window.through_seq;
  cumulative_ = {};
  return window;
}

}  // namespace advisor::client
