#ifndef ADVISOR_CLIENT_AGENT_REPORT_SESSION_H_
#define ADVISOR_CLIENT_AGENT_REPORT_SESSION_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/agent/aggregator.h"
#include "client/agent/step.h"
#include "core/session/messages.h"
#include "core/window/counts.h"

namespace advisor::client {

struct ReporterIdentity {
  std::string deployment;
  std::string reporter_id;
  std::string node;
};

// The agent's half of the report protocol, without transport or clock: counts steps, seals them
// into frames, keeps what is not acknowledged, answers for key frames and windows.
//
// Invariants. Every counted step is in exactly one of: the open sums, a sealed frame. Sealed frames
// up to the acknowledged sequence are forgotten but stay in `cumulative_` (since the last window)
// and in the buckets (the last few). Sequences 1 .. next_seq - 1 are sealed. Memory is bounded: the
// open sums merge while the daemon gives no credit, at most kMaxQueued frames wait, the rest
// merges. Not thread-safe.
class ReportSession {
 public:
  // `new_incarnation` draws 128 random bits; called once here and when counting must start anew.
  ReportSession(ReporterIdentity identity, std::function<Incarnation()> new_incarnation);

  // The model and topology to count for, from a stored plan or the daemon. FAILED_PRECONDITION when
  // the topology lacks this agent's node.
  absl::Status SetModel(const ModelSpec& model, const Topology& topology);
  bool has_model() const { return aggregator_.has_value(); }
  int node_index() const { return node_index_; }
  const Aggregator& aggregator() const { return *aggregator_; }

  // Counts a step, or says why nothing of it was counted (INVALID_ARGUMENT). A step that comes
  // before the model is known, or when 2^28 tokens already wait, is lost: counted as such, and OK.
  absl::Status Record(const Step& step);
  // Steps that the client library `client` (random per engine process) had to drop since its start;
  // `acked` of them were stated by an agent before.
  void SetLostSteps(uint64_t client, uint64_t lost_steps, uint64_t acked);
  void AddPlacement(const Plan& plan);

  // A stream opens with Hello(); then OnHelloAck, and Next() until OnStreamEnd().
  ReporterHello Hello() const;
  // Not OK: end the stream and start again with a new Hello (ABORTED), or the daemon does not fit
  // this node.
  absl::Status OnHelloAck(const HelloAck& ack);
  void OnFrameAck(const FrameAck& ack);
  void OnStreamEnd();

  // Counting cannot go on under this incarnation: the stream must end and start with Hello() again.
  struct Restart {};
  using Message = std::variant<WindowReplay, Frame, Restart>;
  // What to send now, if anything.
  std::optional<Message> Next(absl::Time now);
  // When Next() may have something although nothing happens in between.
  absl::Time NextTime() const;

  // Something waits that the last frame did not say.
  bool HasNews() const;
  uint64_t steps() const { return total_steps_; }
  uint64_t tokens() const { return total_tokens_; }
  uint64_t lost_steps() const { return lost_steps_; }
  uint64_t rejected_blocks() const { return rejected_blocks_; }
  uint64_t frames() const { return next_seq_ - 1; }
  bool connected() const { return open_; }
  // Nothing is counted that the daemon has not acknowledged, or there is no stream to send it on.
  bool idle() const {
    return !open_ || !aggregator_ || (queue_.empty() && aggregator_->sums().steps == 0);
  }

 private:
  static constexpr size_t kMaxQueued = 16;                 // sealed frames that wait
  static constexpr uint64_t kMaxTokens = kMaxBlockTokens;  // in one set of sums
  static constexpr size_t kMaxClients = 256;
  static constexpr size_t kMaxBucketSampleBytes = 1 << 20;

  // Moves the open sums into a frame at the end of the queue and into cumulative sums and bucket.
  void Seal();
  void FitSamples(Frame* frame) const;
  void AddToBucket(const Frame& frame);
  void CloseBucket();
  void MergeOldestWaiting();
  // Sums fit a key frame: its tokens the protocol's counters, its bytes the daemon's limit.
  bool KeyFrameFits() const;
  Frame MakeKeyFrame();
  WindowReplay MakeWindow();
  void StartOver();

  ReporterIdentity identity_;
  std::function<Incarnation()> new_incarnation_;
  Incarnation incarnation_;
  std::optional<Aggregator> aggregator_;
  int node_index_ = -1;
  HelloAck limits_;  // of the last stream

  uint64_t next_seq_ = 1;
  uint64_t key_base_seq_ = 0;
  StepSums cumulative_;      // of sequences key_base_seq + 1 .. next_seq - 1
  std::deque<Frame> queue_;  // sealed and not acknowledged, oldest first
  size_t in_flight_ = 0;     // the first so many of them are sent on this stream

  StepSums bucket_;  // open bucket
  std::vector<SampledRequest> bucket_samples_;
  size_t bucket_sample_bytes_ = 0;
  std::deque<Frame> buckets_;  // closed, oldest first

  bool open_ = false;
  bool want_window_ = false, want_key_frame_ = false;
  uint32_t frames_since_key_ = 0;  // on this stream
  absl::Time last_sent_ = absl::InfinitePast();
  uint64_t sent_lost_steps_ = 0;

  absl::flat_hash_map<uint64_t, uint64_t> client_lost_;
  uint64_t lost_before_ = 0;  // of lost_steps_, before this incarnation
  uint64_t lost_steps_ = 0, total_steps_ = 0, total_tokens_ = 0, rejected_blocks_ = 0;
};

// `second` follows right after `first`: their counts add up, tokens and steps are kept. Visits
// under two different placements cannot share a frame and are then left out. Counts must be valid
// encodings.
Frame MergeFrames(const Frame& first, const Frame& second, const ModelSpec& model);

// Bytes that a frame takes on the wire, within a few percent.
size_t EstimateBytes(const Frame& frame);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_AGENT_REPORT_SESSION_H_
