#ifndef ADVISOR_CORE_WINDOW_REPORTER_WINDOW_H_
#define ADVISOR_CORE_WINDOW_REPORTER_WINDOW_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/types/span.h"
#include "core/model/ids.h"
#include "core/model/model_spec.h"
#include "core/model/phase.h"
#include "core/window/counts.h"
#include "core/window/domain_table.h"
#include "core/window/options.h"
#include "core/window/report.h"
#include "core/window/request_sample.h"

namespace advisor {

// Bytes that windows of one deployment may reserve.
struct WindowBudget {
  uint64_t limit = 0;
  uint64_t reserved = 0;
  bool Reserve(uint64_t bytes) {
    if (reserved + bytes > limit) {
      return false;
    }
    reserved += bytes;
    return true;
  }
};

// A block or sample that was not counted.
struct Refused {
  std::string domain;
  Phase phase = Phase::kDecode;
  CountsFault fault;
  uint64_t tokens = 0;
};

// What tokens known whole really did, of one domain.
struct Visits {
  int domain = 0;  // index into ReporterWindow::domains()
  uint64_t tokens = 0;
  uint64_t remote_visits = 0;
  double baseline_remote_visits = 0;
};

// What became of one frame. Kept by the window and reused, so that a frame allocates nothing.
struct Applied {
  uint64_t tokens = 0;
  uint64_t steps = 0;
  uint64_t overflowed_blocks = 0;  // counted under "other" for want of room
  uint64_t closed_buckets = 0, closed_tokens = 0;
  std::vector<Refused> refused;
  std::vector<Visits> visits;
};

// Counts of the last `buckets` closed buckets of one reporter, per domain and phase, with the
// bucket being filled and what was seen in all.
//
// Kept are running sums, not buckets: counting touches one matrix, closing a bucket copies it, and
// what lies between two sums is their difference, exact although they run modulo 2^16 wherever
// fewer than 2^16 tokens lie between them: so in every bucket. Per domain, phase, layer and expert:
// open = total - newest closed sum; window = sum of the buckets' differences; a key frame brings
// key - counted - (total - settled) - refused. Everything is a function of the frames added, in
// their order. Cells are laid out [layers, experts]. Not thread-safe.
class ReporterWindow {
 public:
  struct Shared {
    const ModelSpec* model = nullptr;
    const WindowOptions* options = nullptr;
    DomainTable* domains = nullptr;
    WindowBudget* budget = nullptr;
    std::vector<std::vector<uint32_t>>* scratch = nullptr;  // matrices for lumps and key frames
    uint32_t sample_tokens = 0;                             // per domain of one reporter
  };
  using RunningSum = std::vector<uint16_t>;  // of counts, per cell, modulo 2^16
  // One domain of this reporter.
  struct Domain {
    std::string name;
    int slots[kPhases] = {-1, -1};  // index into slots(), -1: no tokens yet
    RequestSample sample;
  };
  // One domain and phase.
  struct Slot {
    int domain = 0;
    Phase phase = Phase::kDecode;
    std::vector<RunningSum> closed;       // ring: up to the end of each bucket
    std::vector<uint64_t> closed_tokens;  // 0: nothing in that bucket, its sum is stale
    RunningSum total, before, settled;  // up to now, to the window's begin, to where `counted` ends
    std::vector<uint32_t> counted;      // from Rebase() to `settled`
    std::vector<uint32_t> refused;      // lawless counts since Rebase(); empty: none
    uint64_t unsettled_tokens = 0;      // between `settled` and `total`; fewer than 2^16
    uint64_t window_tokens = 0, open_tokens = 0, seen_tokens = 0, refused_tokens = 0;
    uint64_t seen_visit_tokens = 0, seen_remote_visits = 0;
    double seen_baseline_visits = 0;
    bool unreadable =
        false;  // a block without readable counts came: the next key frame only aligns
  };
  // Counts that lie between running sums, and settled ones; valid until the window changes.
  class Cells {
   public:
    // Tokens between the two: fewer than 2^16.
    Cells(const RunningSum& from, const RunningSum& to) { Add(from, to); }
    explicit Cells(const std::vector<uint32_t>& settled) : settled_(settled) {}
    void Add(const RunningSum& from, const RunningSum& to) { stretches_.push_back({from, to}); }

    size_t size() const { return settled_.empty() ? stretches_[0].to.size() : settled_.size(); }
    // Bytes of the sums they follow from.
    uint64_t bytes() const {
      return size() *
             (2 * stretches_.size() * sizeof(uint16_t) + (settled_.empty() ? 0 : sizeof(uint32_t)));
    }
    // Adds them to out[0 .. size() - 1].
    template <typename Sum>
    void AddTo(Sum* out) const {
      for (size_t cell = 0; cell < settled_.size(); ++cell) {
        out[cell] += settled_[cell];
      }
      for (const Stretch& stretch : stretches_) {
        const uint16_t *from = stretch.from.data(), *to = stretch.to.data();
        for (size_t cell = 0; cell < stretch.to.size(); ++cell) {
          out[cell] += static_cast<uint16_t>(to[cell] - from[cell]);
        }
      }
    }

   private:
    struct Stretch {
      absl::Span<const uint16_t> from, to;
    };
    absl::InlinedVector<Stretch, 8> stretches_;
    absl::Span<const uint32_t> settled_;
  };

  // Bytes reserved for one slot, and for one domain's sample.
  static uint64_t SlotBytes(const ModelSpec& model, const WindowOptions& options);
  static uint64_t SampleBytes(const ModelSpec& model, uint32_t sample_tokens);
  // What a reporter needs before it has counted anything: the slots of "other".
  static uint64_t InitialBytes(const ModelSpec& model, const WindowOptions& options,
                               uint32_t sample_tokens) {
    return kPhases * SlotBytes(model, options) + SampleBytes(model, sample_tokens);
  }

  // InitialBytes() must have been reserved for it.
  ReporterWindow(const Shared& shared, NodeId node);
  ~ReporterWindow();
  ReporterWindow(const ReporterWindow&) = delete;
  ReporterWindow& operator=(const ReporterWindow&) = delete;

  // Counts blocks that cover `steps` steps; blocks that break a law are refused, the rest counts.
  // The result is valid until the next call.
  const Applied& Add(absl::Span<const ReportBlock> blocks, uint64_t steps,
                     absl::Span<const SampledRequest> samples);
  // The same for blocks and steps that are sums since the last Rebase().
  const Applied& AddCumulative(absl::Span<const ReportBlock> blocks, uint64_t steps,
                               absl::Span<const SampledRequest> samples);
  // Counts one bucket that was closed elsewhere and closes it here.
  const Applied& AddBucket(absl::Span<const ReportBlock> blocks, uint64_t steps,
                           absl::Span<const SampledRequest> samples);
  // From here on cumulative sums start from zero again. Closes the open bucket.
  void Rebase();

  NodeId node() const { return node_; }
  void set_node(NodeId node) { node_ = node; }
  const std::vector<Domain>& domains() const { return domains_; }
  const std::vector<Slot>& slots() const { return slots_; }
  uint64_t window_tokens() const { return window_tokens_; }
  uint64_t open_tokens() const { return open_tokens_; }
  // Closed buckets in the window.
  int bucket_count() const;
  // Tokens and counts of one of them, 0 being the newest; without tokens there are no counts.
  uint64_t BucketTokens(const Slot& slot, int age) const { return slot.closed_tokens[Ring(age)]; }
  Cells Bucket(const Slot& slot, int age) const {
    return {SumBefore(slot, age), slot.closed[Ring(age)]};
  }
  // Of all closed buckets in the window; of the open one; of all since Rebase().
  Cells Window(const Slot& slot) const;
  Cells Open(const Slot& slot) const { return {SumBefore(slot, -1), slot.total}; }
  Cells Counted(const Slot& slot) const;

 private:
  // Counts of one slot that wait to be spread over buckets; cells in (*shared_.scratch)[matrix].
  struct Lump {
    int slot = 0;
    size_t matrix = 0;
    uint64_t tokens = 0;
    uint64_t visit_tokens = 0, remote_visits = 0;
    double baseline_visits = 0;
  };

  size_t Ring(int age) const { return (next_bucket_ - 1 - age) % shared_.options->buckets; }
  // The sum up to the begin of the bucket of that age, -1 being the open one.
  const RunningSum& SumBefore(const Slot& slot, int age) const;
  size_t cells() const { return size_t(shared_.model->moe_layers) * shared_.model->experts; }
  void Begin();
  int FindDomain(const std::string& name);
  int AddDomain(const std::string& name);
  int FindSlot(const std::string& domain, Phase phase);
  int AddSlot(int domain, Phase phase);
  std::vector<uint32_t>& ZeroedScratch(size_t index);
  void Refuse(const std::string& domain, Phase phase, CountsFault fault, uint64_t tokens);
  bool RefuseBadName(const std::string& domain, Phase phase, uint64_t tokens);
  void RefuseBlock(const ReportBlock& block, int slot, CountsFault fault);
  void AddDirect(absl::Span<const ReportBlock> blocks);
  void AddOversized(absl::Span<const ReportBlock> blocks, uint64_t steps);
  void AddLumps(const std::vector<Lump>& lumps, uint64_t tokens, uint64_t steps);
  std::vector<Lump> SumBySlot(absl::Span<const ReportBlock> blocks);
  bool SubtractSeen(Lump* sum);
  void Align(const Lump& sum);
  void AddSamples(absl::Span<const SampledRequest> samples);
  void CountVisits(int slot, uint64_t tokens, uint64_t visits, double baseline);
  void CloseIfFull();
  void Close();
  void AddBeforeWindow(const Lump& lump, uint64_t pieces, uint64_t end);
  void CloseSlot(Slot* slot, size_t ring);
  // Before so many tokens, no more than a bucket's, are added to `total`.
  static void MakeRoom(Slot* slot, uint64_t tokens);
  static void Settle(Slot* slot);

  Shared shared_;
  NodeId node_;
  uint64_t reserved_;
  std::vector<Domain> domains_;
  std::vector<Slot> slots_;
  absl::flat_hash_map<std::string, int> index_;  // name -> domains_
  bool overflowed_ = false;  // a name found no room: until Rebase() no new one is taken up
  uint64_t open_tokens_ = 0, open_steps_ = 0, window_tokens_ = 0, seen_steps_ = 0;
  uint64_t next_bucket_ = 0;  // buckets closed so far; the ring holds the last ones
  Applied applied_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_REPORTER_WINDOW_H_
