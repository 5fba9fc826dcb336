#include "core/window/reporter_window.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"

namespace advisor {
namespace {

bool ValidDomainName(const std::string& name) {
  return name.size() <= kLongestDomain && std::none_of(name.begin(), name.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < 0x20 || byte == 0x7f;
         });
}

}  // namespace

uint64_t ReporterWindow::SlotBytes(const ModelSpec& model, const WindowOptions& options) {
  // Closed buckets, total, before and settled; counted and refused.
  const uint64_t cell_bytes =
      (uint64_t(options.buckets) + 3) * sizeof(uint16_t) + 2 * sizeof(uint32_t);
  return cell_bytes * model.moe_layers * model.experts;
}

uint64_t ReporterWindow::SampleBytes(const ModelSpec& model, uint32_t sample_tokens) {
  return 2 * uint64_t{sample_tokens} * TokenBytes(model);  // strings grow by doubling
}

ReporterWindow::ReporterWindow(const Shared& shared, NodeId node)
    : shared_(shared),
      node_(node),
      reserved_(InitialBytes(*shared.model, *shared.options, shared.sample_tokens)) {}

ReporterWindow::~ReporterWindow() {
  shared_.budget->reserved -= reserved_;
  for (const Domain& domain : domains_) {
    shared_.domains->Release(domain.name);
  }
}

void ReporterWindow::Begin() {
  applied_.tokens = applied_.steps = applied_.overflowed_blocks = 0;
  applied_.closed_buckets = applied_.closed_tokens = 0;
  applied_.refused.clear();
  applied_.visits.clear();
}

const Applied& ReporterWindow::Add(absl::Span<const ReportBlock> blocks, uint64_t steps,
                                   absl::Span<const SampledRequest> samples) {
  Begin();
  uint64_t tokens = 0;
  for (const ReportBlock& block : blocks) {
    tokens += std::min(block.tokens, kMaxBlockTokens);
  }
  seen_steps_ += steps;
  applied_.steps = steps;
  if (tokens > shared_.options->bucket_tokens) {
    AddOversized(blocks, steps);
    AddSamples(samples);
  } else {
    AddSamples(samples);
    AddDirect(blocks);
    open_steps_ += steps;
    CloseIfFull();
  }
  return applied_;
}

const Applied& ReporterWindow::AddCumulative(absl::Span<const ReportBlock> blocks, uint64_t steps,
                                             absl::Span<const SampledRequest> samples) {
  Begin();
  applied_.steps = steps - std::min(steps, seen_steps_);
  seen_steps_ += applied_.steps;
  uint64_t tokens = 0;
  std::vector<Lump> lumps;
  for (Lump& sum : SumBySlot(blocks)) {
    if (slots_[sum.slot].unreadable) {
      Align(sum);
    } else if (SubtractSeen(&sum)) {
      CountVisits(sum.slot, sum.visit_tokens, sum.remote_visits, sum.baseline_visits);
      tokens += sum.tokens;
      lumps.push_back(sum);
    }
  }
  AddLumps(lumps, tokens, applied_.steps);
  AddSamples(samples);
  return applied_;
}

const Applied& ReporterWindow::AddBucket(absl::Span<const ReportBlock> blocks, uint64_t steps,
                                         absl::Span<const SampledRequest> samples) {
  Add(blocks, steps, samples);
  Close();
  return applied_;
}

void ReporterWindow::Rebase() {
  Close();
  std::vector<Domain> domains;
  std::vector<Slot> slots;
  index_.clear();
  for (Domain& domain : domains_) {
    const bool used = std::any_of(std::begin(domain.slots), std::end(domain.slots), [&](int slot) {
      return slot >= 0 && slots_[slot].window_tokens > 0;
    });
    const bool other = domain.name == kOtherDomain;
    if (!used) {
      shared_.domains->Release(domain.name);
    }
    for (int& slot : domain.slots) {
      if (slot < 0) {
        continue;
      }
      if (!used) {
        const uint64_t freed = other ? 0 : SlotBytes(*shared_.model, *shared_.options);
        shared_.budget->reserved -= freed;
        reserved_ -= freed;
        continue;
      }
      Slot kept = std::move(slots_[slot]);
      kept.domain = static_cast<int>(domains.size());
      kept.settled = kept.total;
      kept.counted.assign(cells(), 0);
      kept.unsettled_tokens = 0;
      kept.refused.clear();
      kept.seen_tokens = kept.refused_tokens = kept.seen_visit_tokens = kept.seen_remote_visits = 0;
      kept.seen_baseline_visits = 0;
      kept.unreadable = false;
      slot = static_cast<int>(slots.size());
      slots.push_back(std::move(kept));
    }
    if (used) {
      index_[domain.name] = static_cast<int>(domains.size());
      domains.push_back(std::move(domain));
    } else if (!other) {
      const uint64_t freed = SampleBytes(*shared_.model, shared_.sample_tokens);
      shared_.budget->reserved -= freed;
      reserved_ -= freed;
    }
  }
  domains_ = std::move(domains);
  slots_ = std::move(slots);
  overflowed_ = false;
  seen_steps_ = 0;
}

int ReporterWindow::FindDomain(const std::string& name) {
  const auto known = index_.find(name);
  if (known != index_.end()) {
    return known->second;
  }
  if (!overflowed_ && name != kOtherDomain) {
    const uint64_t bytes = SampleBytes(*shared_.model, shared_.sample_tokens);
    if (shared_.domains->Acquire(name)) {
      if (shared_.budget->Reserve(bytes)) {
        reserved_ += bytes;
        return AddDomain(name);
      }
      shared_.domains->Release(name);
    }
    // Which names have room must not change while cumulative sums run.
    overflowed_ = true;
  }
  const auto other = index_.find(kOtherDomain);
  if (other != index_.end()) {
    return other->second;
  }
  shared_.domains->Acquire(kOtherDomain);
  return AddDomain(kOtherDomain);
}

int ReporterWindow::AddDomain(const std::string& name) {
  domains_.push_back(Domain{name, {-1, -1}, RequestSample(shared_.sample_tokens)});
  const int domain = static_cast<int>(domains_.size()) - 1;
  index_[name] = domain;
  return domain;
}

int ReporterWindow::FindSlot(const std::string& name, Phase phase) {
  const int domain = FindDomain(name);
  if (name != domains_[domain].name) {
    ++applied_.overflowed_blocks;
  }
  const int slot = domains_[domain].slots[static_cast<int>(phase)];
  return slot >= 0 ? slot : AddSlot(domain, phase);
}

int ReporterWindow::AddSlot(int domain, Phase phase) {
  if (domains_[domain].name != kOtherDomain) {
    const uint64_t bytes = SlotBytes(*shared_.model, *shared_.options);
    if (!shared_.budget->Reserve(bytes)) {
      overflowed_ = true;
      ++applied_.overflowed_blocks;
      return FindSlot(kOtherDomain, phase);
    }
    reserved_ += bytes;
  }
  Slot slot;
  slot.domain = domain;
  slot.phase = phase;
  slot.total.assign(cells(), 0);
  slot.before.assign(cells(), 0);
  slot.settled.assign(cells(), 0);
  slot.counted.assign(cells(), 0);
  slot.closed.resize(shared_.options->buckets);
  slot.closed_tokens.assign(shared_.options->buckets, 0);
  slots_.push_back(std::move(slot));
  const int index = static_cast<int>(slots_.size()) - 1;
  domains_[domain].slots[static_cast<int>(phase)] = index;
  return index;
}

std::vector<uint32_t>& ReporterWindow::ZeroedScratch(size_t index) {
  std::vector<std::vector<uint32_t>>& scratch = *shared_.scratch;
  if (scratch.size() <= index) {
    scratch.resize(index + 1);
  }
  scratch[index].assign(cells(), 0);
  return scratch[index];
}

void ReporterWindow::Refuse(const std::string& domain, Phase phase, CountsFault fault,
                            uint64_t tokens) {
  applied_.refused.push_back({domain, phase, std::move(fault), tokens});
}

// The sender's cumulative sums hold what is refused here, so it is booked apart, to be subtracted
// from its key frames.
bool ReporterWindow::RefuseBadName(const std::string& domain, Phase phase, uint64_t tokens) {
  if (ValidDomainName(domain)) {
    return false;
  }
  Refuse(domain, phase,
         {RejectReason::kDomainName, 0,
          absl::StrFormat("domain name of %d bytes, must be at most %d printable ones",
                          domain.size(), kLongestDomain)},
         tokens);
  return true;
}

void ReporterWindow::RefuseBlock(const ReportBlock& block, int slot_index, CountsFault fault) {
  Slot& slot = slots_[slot_index];
  if (slot.refused.empty()) {
    slot.refused.assign(cells(), 0);
  }
  if (AddUnchecked(*shared_.model, block.counts, slot.refused.data())) {
    slot.unreadable = true;
  }
  slot.refused_tokens += block.tokens;
  slot.seen_visit_tokens += block.visit_tokens;
  slot.seen_remote_visits += block.remote_visits;
  slot.seen_baseline_visits += block.baseline_remote_visits;
  Refuse(block.domain, block.phase, std::move(fault), block.tokens);
}

void ReporterWindow::CountVisits(int slot_index, uint64_t tokens, uint64_t visits,
                                 double baseline) {
  Slot& slot = slots_[slot_index];
  slot.seen_visit_tokens += tokens;
  slot.seen_remote_visits += visits;
  slot.seen_baseline_visits += baseline;
  if (tokens > 0) {
    applied_.visits.push_back({slot.domain, tokens, visits, baseline});
  }
}

void ReporterWindow::AddDirect(absl::Span<const ReportBlock> blocks) {
  for (const ReportBlock& block : blocks) {
    if (RefuseBadName(block.domain, block.phase, block.tokens)) {
      continue;
    }
    const int index = FindSlot(block.domain, block.phase);
    Slot& slot = slots_[index];
    MakeRoom(&slot, block.tokens);
    if (auto fault = AddChecked(*shared_.model, block.counts, block.tokens, slot.total.data())) {
      RefuseBlock(block, index, std::move(*fault));
      continue;
    }
    slot.open_tokens += block.tokens;
    slot.unsettled_tokens += block.tokens;
    open_tokens_ += block.tokens;
    applied_.tokens += block.tokens;
    CountVisits(index, block.visit_tokens, block.remote_visits, block.baseline_remote_visits);
  }
}

void ReporterWindow::AddOversized(absl::Span<const ReportBlock> blocks, uint64_t steps) {
  std::vector<Lump> lumps;
  uint64_t tokens = 0;
  for (const ReportBlock& block : blocks) {
    if (RefuseBadName(block.domain, block.phase, block.tokens)) {
      continue;
    }
    const int index = FindSlot(block.domain, block.phase);
    std::vector<uint32_t>& matrix = ZeroedScratch(lumps.size());
    if (auto fault = AddChecked(*shared_.model, block.counts, block.tokens, matrix.data())) {
      RefuseBlock(block, index, std::move(*fault));
      continue;
    }
    Lump lump;
    lump.slot = index;
    lump.matrix = lumps.size();
    lump.tokens = block.tokens;
    lumps.push_back(lump);
    tokens += block.tokens;
    CountVisits(index, block.visit_tokens, block.remote_visits, block.baseline_remote_visits);
  }
  AddLumps(lumps, tokens, steps);
}

void ReporterWindow::AddSamples(absl::Span<const SampledRequest> samples) {
  for (const SampledRequest& sample : samples) {
    if (RefuseBadName(sample.domain, sample.phase, 0)) {
      continue;
    }
    if (auto fault = CheckSample(*shared_.model, sample)) {
      Refuse(sample.domain, sample.phase, std::move(*fault), 0);
    } else {
      domains_[FindDomain(sample.domain)].sample.Add(*shared_.model, sample, next_bucket_);
    }
  }
}

void ReporterWindow::CloseIfFull() {
  if (open_tokens_ >= shared_.options->bucket_tokens ||
      open_steps_ >= shared_.options->bucket_steps) {
    Close();
  }
}

// An empty bucket says nothing and is never closed.
void ReporterWindow::Close() {
  open_steps_ = open_tokens_ == 0 ? open_steps_ : 0;
  if (open_tokens_ == 0) {
    return;
  }
  const size_t ring = next_bucket_ % shared_.options->buckets;
  window_tokens_ = 0;
  for (Slot& slot : slots_) {
    CloseSlot(&slot, ring);
    window_tokens_ += slot.window_tokens;
  }
  applied_.closed_tokens += open_tokens_;
  open_tokens_ = 0;
  ++next_bucket_;
  ++applied_.closed_buckets;
  const uint64_t kept = shared_.options->buckets;
  for (Domain& domain : domains_) {
    domain.sample.Expire(*shared_.model, next_bucket_ > kept ? next_bucket_ - kept : 0);
  }
}

void ReporterWindow::CloseSlot(Slot* slot, size_t ring) {
  if (slot->closed_tokens[ring] > 0) {
    slot->before.swap(slot->closed[ring]);
  }
  if (slot->open_tokens > 0) {
    slot->closed[ring] = slot->total;
  }
  slot->window_tokens += slot->open_tokens - slot->closed_tokens[ring];
  slot->seen_tokens += slot->open_tokens;
  slot->closed_tokens[ring] = std::exchange(slot->open_tokens, 0);
}

int ReporterWindow::bucket_count() const {
  return static_cast<int>(std::min<uint64_t>(next_bucket_, shared_.options->buckets));
}

const ReporterWindow::RunningSum& ReporterWindow::SumBefore(const Slot& slot, int age) const {
  for (int older = age + 1; older < bucket_count(); ++older) {
    if (BucketTokens(slot, older) > 0) {
      return slot.closed[Ring(older)];
    }
  }
  return slot.before;
}

}  // namespace advisor
