#include "core/window/reporter_window.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/window/spread.h"

namespace advisor {
namespace {

bool ValidDomainName(const std::string& name) {
  return name.size() <= kLongestDomain && std::none_of(name.begin(), name.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < 0x20 || byte == 0x7f;
         });
}

CountsFault BadDomainName(const std::string& name) {
  return {RejectReason::kDomainName, 0,
          absl::StrFormat("domain name of %d bytes, must be at most %d printable ones", name.size(),
                          kLongestDomain)};
}

void AddCells(const std::vector<uint32_t>& from, std::vector<uint32_t>* to) {
  for (size_t i = 0; i < from.size(); ++i) {
    (*to)[i] += from[i];
  }
}

}  // namespace

uint64_t ReporterWindow::SlotBytes(const ModelSpec& model, const WindowOptions& options) {
  // Closed buckets, and the matrices total, before, based and refused.
  return (uint64_t(options.buckets) + 4) * model.moe_layers * model.experts * sizeof(uint32_t);
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
      kept.based = kept.total;
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
  slot.based.assign(cells(), 0);
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
    if (!ValidDomainName(block.domain)) {
      Refuse(block.domain, block.phase, BadDomainName(block.domain), block.tokens);
      continue;
    }
    const int index = FindSlot(block.domain, block.phase);
    Slot& slot = slots_[index];
    if (auto fault = AddChecked(*shared_.model, block.counts, block.tokens, slot.total.data())) {
      RefuseBlock(block, index, std::move(*fault));
      continue;
    }
    slot.open_tokens += block.tokens;
    open_tokens_ += block.tokens;
    applied_.tokens += block.tokens;
    CountVisits(index, block.visit_tokens, block.remote_visits, block.baseline_remote_visits);
  }
}

void ReporterWindow::AddOversized(absl::Span<const ReportBlock> blocks, uint64_t steps) {
  std::vector<Lump> lumps;
  uint64_t tokens = 0;
  for (const ReportBlock& block : blocks) {
    if (!ValidDomainName(block.domain)) {
      Refuse(block.domain, block.phase, BadDomainName(block.domain), block.tokens);
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

// Fills as many buckets, evenly, as the tokens are worth. Pieces that would leave the window at
// once are only noted as seen.
void ReporterWindow::AddLumps(const std::vector<Lump>& lumps, uint64_t tokens, uint64_t steps) {
  const uint64_t bucket = shared_.options->bucket_tokens;
  const uint64_t pieces = std::max<uint64_t>(1, (tokens + bucket - 1) / bucket);
  const uint64_t kept = uint64_t(shared_.options->buckets) + 1;
  const uint64_t first = pieces > kept ? pieces - kept : 0;
  applied_.tokens += tokens;
  if (first > 0) {
    Close();  // of what is open, nothing will stay either
    for (const Lump& lump : lumps) {
      AddBeforeWindow(lump, pieces, first);
    }
  }
  for (uint64_t piece = first; piece < pieces; ++piece) {
    for (const Lump& lump : lumps) {
      Slot& slot = slots_[lump.slot];
      const std::vector<uint32_t>& matrix = (*shared_.scratch)[lump.matrix];
      if (pieces == 1) {
        AddCells(matrix, &slot.total);
        slot.open_tokens += lump.tokens;
        open_tokens_ += lump.tokens;
        continue;
      }
      const Spread spread(lump.tokens, pieces, piece, piece + 1);
      spread.AddTo(*shared_.model, matrix, &slot.total);
      slot.open_tokens += spread.tokens();
      open_tokens_ += spread.tokens();
    }
    open_steps_ += steps * (piece + 1) / pieces - steps * piece / pieces;
    if (piece + 1 < pieces) {
      Close();
    }
  }
  CloseIfFull();
}

// Counts the pieces 0 .. end - 1 as if they had come before the window: all its sums rise.
void ReporterWindow::AddBeforeWindow(const Lump& lump, uint64_t pieces, uint64_t end) {
  Slot& slot = slots_[lump.slot];
  const Spread spread(lump.tokens, pieces, 0, end);
  const auto add_to = [&](std::vector<uint32_t>* sum) {
    spread.AddTo(*shared_.model, (*shared_.scratch)[lump.matrix], sum);
  };
  add_to(&slot.total);
  add_to(&slot.before);
  for (size_t ring = 0; ring < slot.closed.size(); ++ring) {
    if (slot.closed_tokens[ring] > 0) {
      add_to(&slot.closed[ring]);
    }
  }
  slot.seen_tokens += spread.tokens();
}

std::vector<ReporterWindow::Lump> ReporterWindow::SumBySlot(absl::Span<const ReportBlock> blocks) {
  std::vector<Lump> sums;
  for (const ReportBlock& block : blocks) {
    if (!ValidDomainName(block.domain)) {
      Refuse(block.domain, block.phase, BadDomainName(block.domain), 0);
      continue;
    }
    const int slot = FindSlot(block.domain, block.phase);
    auto sum = std::find_if(sums.begin(), sums.end(),
                            [slot](const Lump& other) { return other.slot == slot; });
    if (sum == sums.end()) {
      Lump fresh;
      fresh.slot = slot;
      fresh.matrix = sums.size();
      ZeroedScratch(fresh.matrix);
      sums.push_back(fresh);
      sum = std::prev(sums.end());
    }
    if (auto fault =
            AddUnchecked(*shared_.model, block.counts, (*shared_.scratch)[sum->matrix].data())) {
      // Tokens that the key frame would have brought stay out until the next one.
      Refuse(block.domain, block.phase, std::move(*fault), 0);
      slots_[slot].unreadable = true;
      continue;
    }
    sum->tokens += block.tokens;
    sum->visit_tokens += block.visit_tokens;
    sum->remote_visits += block.remote_visits;
    sum->baseline_visits += block.baseline_remote_visits;
  }
  return sums;
}

// Leaves in the sum what is new. False: refused.
bool ReporterWindow::SubtractSeen(Lump* sum) {
  Slot& slot = slots_[sum->slot];
  const std::string& domain = domains_[slot.domain].name;
  std::vector<uint32_t>& cells = (*shared_.scratch)[sum->matrix];
  const uint64_t known = slot.seen_tokens + slot.open_tokens + slot.refused_tokens;
  bool falls = sum->tokens < known;
  size_t at = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    const uint32_t seen =
        slot.total[i] - slot.based[i] + (slot.refused.empty() ? 0 : slot.refused[i]);
    if (cells[i] < seen && !falls) {
      falls = true;
      at = i;
    }
    cells[i] -= seen;
  }
  if (falls) {
    Refuse(domain, slot.phase,
           {RejectReason::kRegression, static_cast<int>(at / shared_.model->experts),
            absl::StrFormat("the key frame's sums (%d tokens) are smaller than what was counted "
                            "(%d): restart the agent",
                            sum->tokens, known)},
           0);
    return false;
  }
  sum->tokens -= known;
  sum->visit_tokens -= std::min(sum->visit_tokens, slot.seen_visit_tokens);
  sum->remote_visits -= std::min(sum->remote_visits, slot.seen_remote_visits);
  sum->baseline_visits = std::max(0.0, sum->baseline_visits - slot.seen_baseline_visits);
  if (auto fault = CheckLaws(*shared_.model, sum->tokens, cells.data())) {
    if (slot.refused.empty()) {
      slot.refused.assign(cells.size(), 0);
    }
    AddCells(cells, &slot.refused);
    slot.refused_tokens += sum->tokens;
    Refuse(domain, slot.phase, std::move(*fault), sum->tokens);
    return false;
  }
  return true;
}

// After an unreadable block nobody can tell its counts from those after it: what the key frame has
// beyond the counted is refused as a whole, and counting goes on from there.
void ReporterWindow::Align(const Lump& sum) {
  Slot& slot = slots_[sum.slot];
  const std::vector<uint32_t>& cells = (*shared_.scratch)[sum.matrix];
  slot.refused.assign(cells.size(), 0);
  for (size_t i = 0; i < cells.size(); ++i) {
    slot.refused[i] = cells[i] - (slot.total[i] - slot.based[i]);
  }
  const uint64_t booked = slot.seen_tokens + slot.open_tokens + slot.refused_tokens;
  const uint64_t lost = sum.tokens - std::min(sum.tokens, booked);
  slot.refused_tokens = sum.tokens - slot.seen_tokens - slot.open_tokens;
  slot.seen_visit_tokens = sum.visit_tokens;
  slot.seen_remote_visits = sum.remote_visits;
  slot.seen_baseline_visits = sum.baseline_visits;
  slot.unreadable = false;
  if (lost > 0) {
    Refuse(domains_[slot.domain].name, slot.phase,
           {RejectReason::kShape, 0, "cannot be told from an unreadable block before it"}, lost);
  }
}

void ReporterWindow::AddSamples(absl::Span<const SampledRequest> samples) {
  for (const SampledRequest& sample : samples) {
    if (!ValidDomainName(sample.domain)) {
      Refuse(sample.domain, sample.phase, BadDomainName(sample.domain), 0);
    } else if (auto fault = CheckSample(*shared_.model, sample)) {
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

const std::vector<uint32_t>& ReporterWindow::SumBefore(const Slot& slot, int age) const {
  for (int older = age + 1; older < bucket_count(); ++older) {
    if (BucketTokens(slot, older) > 0) {
      return slot.closed[Ring(older)];
    }
  }
  return slot.before;
}

}  // namespace advisor
