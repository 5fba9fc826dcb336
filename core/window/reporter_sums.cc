// What of a ReporterWindow is summed before it is counted: frames larger than a bucket and key
// frames; and what lies between running sums.

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/window/reporter_window.h"
#include "core/window/spread.h"

namespace advisor {
namespace {

constexpr uint64_t kMostBetweenSums = (1 << 16) - 1;          // tokens: no cell counts more
static_assert(2 * kMaxBucketTokens - 1 <= kMostBetweenSums);  // an open bucket and a frame

template <typename Cell>
void AddCells(const std::vector<uint32_t>& from, std::vector<Cell>* to) {
  for (size_t i = 0; i < from.size(); ++i) {
    (*to)[i] += static_cast<Cell>(from[i]);
  }
}

}  // namespace

void ReporterWindow::MakeRoom(Slot* slot, uint64_t tokens) {
  if (slot->unsettled_tokens + tokens > kMostBetweenSums) {
    Settle(slot);
  }
}

void ReporterWindow::Settle(Slot* slot) {
  for (size_t cell = 0; cell < slot->counted.size(); ++cell) {
    slot->counted[cell] += static_cast<uint16_t>(slot->total[cell] - slot->settled[cell]);
  }
  slot->settled = slot->total;
  slot->unsettled_tokens = 0;
}

ReporterWindow::Cells ReporterWindow::Window(const Slot& slot) const {
  if (slot.window_tokens <= kMostBetweenSums) {
    return {slot.before, SumBefore(slot, -1)};
  }
  Cells window(slot.before, slot.before);
  for (int age = bucket_count() - 1; age >= 0; --age) {
    if (BucketTokens(slot, age) > 0) {
      window.Add(SumBefore(slot, age), slot.closed[Ring(age)]);
    }
  }
  return window;
}

ReporterWindow::Cells ReporterWindow::Counted(const Slot& slot) const {
  Cells counted(slot.counted);
  counted.Add(slot.settled, slot.total);
  return counted;
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
      const Spread spread(lump.tokens, pieces, piece, piece + 1);
      MakeRoom(&slot, spread.tokens());
      if (pieces == 1) {
        AddCells(matrix, &slot.total);
      } else {
        spread.AddTo(*shared_.model, matrix, &slot.total);
      }
      slot.open_tokens += spread.tokens();
      slot.unsettled_tokens += spread.tokens();
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
  const auto add_to = [&](auto* sum) {
    spread.AddTo(*shared_.model, (*shared_.scratch)[lump.matrix], sum);
  };
  add_to(&slot.counted);
  add_to(&slot.settled);
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
    if (RefuseBadName(block.domain, block.phase, 0)) {
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
  Settle(&slot);
  bool falls = sum->tokens < known;
  size_t at = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    const uint32_t seen = slot.counted[i] + (slot.refused.empty() ? 0 : slot.refused[i]);
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
  Settle(&slot);
  slot.refused.assign(cells.size(), 0);
  for (size_t i = 0; i < cells.size(); ++i) {
    slot.refused[i] = cells[i] - slot.counted[i];
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

}  // namespace advisor
