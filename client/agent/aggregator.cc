#include "client/agent/aggregator.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/rng.h"
#include "core/base/status_macros.h"
#include "core/model/request_id.h"
#include "core/window/counts.h"
#include "proto/convert/counts.h"

namespace advisor::client {
namespace {

bool Printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
}

// Row (token and layer) and id of the first expert that is out of range or doubled; false: none.
template <typename Id>
bool FindBadExpert(std::string_view experts, size_t rows, const ModelSpec& model, uint32_t* stamp,
                   uint32_t* next_stamp, size_t* bad_row, int* bad_expert) {
  const char* at = experts.data();
  for (size_t row = 0; row < rows; ++row) {
    const uint32_t mark = ++*next_stamp;
    for (int k = 0; k < model.top_k; ++k, at += sizeof(Id)) {
      Id id;
      std::memcpy(&id, at, sizeof(Id));
      if (id >= model.experts || stamp[id] == mark) {
        *bad_row = row;
        *bad_expert = id;
        return true;
      }
      stamp[id] = mark;
    }
  }
  return false;
}

// Whether some row of eight one-byte ids names an expert twice, or one at or beyond `experts`; not
// where. A row turned by one to four bytes meets itself in every pair of ids.
bool AnyBadRowOfEight(std::string_view ids, int experts) {
  constexpr uint64_t kOnes = ~uint64_t{0} / 255, kHighs = kOnes << 7;
  uint64_t doubled = 0;
  for (size_t at = 0; at < ids.size(); at += sizeof(uint64_t)) {
    uint64_t row;
    std::memcpy(&row, ids.data() + at, sizeof(row));
    for (int turn = 8; turn <= 32; turn += 8) {
      const uint64_t differs = row ^ std::rotl(row, turn);
      doubled |= (differs - kOnes) & ~differs & kHighs;  // not 0: a byte of `differs` is
    }
  }
  unsigned char largest = 0;
  for (const char id : ids) {
    largest = std::max(largest, static_cast<unsigned char>(id));
  }
  return doubled != 0 || largest >= experts;
}

void AddCells(const std::vector<uint32_t>& from, std::vector<uint32_t>* into) {
  for (size_t i = 0; i < from.size(); ++i) {
    (*into)[i] += from[i];
  }
}

}  // namespace

void AddSums(const StepSums& from, StepSums* into) {
  into->steps += from.steps;
  into->tokens += from.tokens;
  into->last_step = from.last_step;
  into->applied = from.applied;
  into->applied_hash = from.applied_hash;
  for (const BlockSums& block : from.blocks) {
    if (block.tokens == 0) {
      continue;
    }
    auto it = std::find_if(into->blocks.begin(), into->blocks.end(), [&](const BlockSums& b) {
      return b.phase == block.phase && b.domain == block.domain;
    });
    if (it == into->blocks.end()) {
      into->blocks.push_back(block);
      continue;
    }
    it->tokens += block.tokens;
    it->visit_tokens += block.visit_tokens;
    it->remote_visits += block.remote_visits;
    it->linear_nodes += block.linear_nodes;
    AddCells(block.counts, &it->counts);
  }
}

void ClearSums(StepSums* sums) {
  sums->steps = sums->tokens = 0;
  for (BlockSums& block : sums->blocks) {
    if (block.tokens != 0) {
      block.tokens = block.visit_tokens = block.remote_visits = block.linear_nodes = 0;
      std::fill(block.counts.begin(), block.counts.end(), 0);
    }
  }
}

Frame EncodeSums(const StepSums& sums, int experts, int nodes) {
  Frame frame;
  frame.steps = sums.steps;
  frame.last_step = sums.last_step;
  frame.applied = sums.applied;
  frame.applied_hash = sums.applied_hash;
  for (const BlockSums& block : sums.blocks) {
    if (block.tokens == 0) {
      continue;
    }
    ReportBlock out;
    out.domain = block.domain;
    out.phase = block.phase;
    out.tokens = block.tokens;
    out.counts = EncodeCounts(block.counts, experts);
    out.visit_tokens = block.visit_tokens;
    out.remote_visits = block.remote_visits;
    out.baseline_remote_visits = static_cast<double>(block.linear_nodes) * (nodes - 1) / nodes;
    frame.blocks.push_back(std::move(out));
  }
  return frame;
}

Aggregator::Aggregator(const ModelSpec& model, const Topology& topology, NodeId home,
                       int sample_tokens)
    : model_(model),
      topology_(topology),
      home_(home),
      id_bytes_(model.experts <= 256 ? 1 : 2),
      sampler_(size_t(model.moe_layers) * model.top_k * id_bytes_, sample_tokens),
      stamp_(model.experts, 0) {
  Plan linear;
  linear.model = model;
  linear.topology = topology;
  linear.placement = LinearPlacement(model, topology);
  AddPlacement(linear);
  known_[0].hash = 0;  // no plan
}

void Aggregator::AddPlacement(const Plan& plan) {
  if (Find(plan.position) != nullptr) {
    return;
  }
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  if (known_.size() == kKeptPlacements) {
    known_.erase(known_.begin() + 1);
  }
  known_.push_back(
      {plan.position, PlacementHash(plan), VisitTable(model_, topology_, home_, serve)});
}

const Aggregator::Known* Aggregator::Find(Position position) const {
  for (const Known& known : known_) {
    if (known.position == position) {
      return &known;
    }
  }
  return nullptr;
}

absl::Status Aggregator::Check(const Step& step) {
  if (step.blocks.size() > kMaxBlocks) {
    return absl::InvalidArgumentError(
        absl::StrFormat("step %d has %d blocks, at most %d are allowed (one per domain and phase)",
                        step.step, step.blocks.size(), kMaxBlocks));
  }
  for (size_t i = 0; i < step.blocks.size(); ++i) {
    if (absl::Status status = CheckBlock(step.blocks[i], i); !status.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "step ", step.step, " block ", i, " (domain \"",
          std::string(step.blocks[i].domain.substr(0, 64)), "\"): ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status Aggregator::CheckBlock(const StepBlock& block, size_t index) {
  if (block.domain.size() > kMaxDomainBytes || !Printable(block.domain)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("domain has %d bytes, must be printable and at most %d",
                        block.domain.size(), kMaxDomainBytes));
  }
  uint64_t rows = 0;
  for (const RequestRows& r : block.requests) {
    rows += r.tokens;
    if (r.request_id.empty() || r.request_id.size() > kMaxRequestIdBytes) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "request_id has %d bytes, must have 1 .. %d", r.request_id.size(), kMaxRequestIdBytes));
    }
  }
  if (!block.requests.empty() && rows != block.tokens) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "the requests have %d tokens, the block has %d; they must agree", rows, block.tokens));
  }
  return block.counts == nullptr ? CheckTokens(block) : CheckCounts(block, index);
}

absl::Status Aggregator::CheckTokens(const StepBlock& block) {
  const size_t want =
      size_t(block.tokens) * model_.moe_layers * model_.top_k * static_cast<size_t>(id_bytes_);
  if (block.experts.size() != want) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "experts has %d bytes, must have %d (%d tokens x %d layers x top-%d x %d bytes)",
        block.experts.size(), want, block.tokens, model_.moe_layers, model_.top_k, id_bytes_));
  }
  if (id_bytes_ == 1 && model_.top_k == 8 && !AnyBadRowOfEight(block.experts, model_.experts)) {
    return absl::OkStatus();
  }
  const size_t rows = size_t(block.tokens) * model_.moe_layers;
  if (next_stamp_ > UINT32_MAX - rows - 1) {  // marks must not come round again
    std::fill(stamp_.begin(), stamp_.end(), 0);
    next_stamp_ = 0;
  }
  size_t row = 0;
  int expert = 0;
  const bool bad = id_bytes_ == 1
                       ? FindBadExpert<uint8_t>(block.experts, rows, model_, stamp_.data(),
                                                &next_stamp_, &row, &expert)
                       : FindBadExpert<uint16_t>(block.experts, rows, model_, stamp_.data(),
                                                 &next_stamp_, &row, &expert);
  if (bad) {
    return absl::InvalidArgumentError(
        absl::StrFormat("token %d layer %d: expert %d is %s", row / model_.moe_layers,
                        row % model_.moe_layers, expert,
                        expert >= model_.experts
                            ? absl::StrFormat("out of range, must be 0 .. %d", model_.experts - 1)
                            : std::string("named twice, the experts of a token must differ")));
  }
  return absl::OkStatus();
}

absl::Status Aggregator::CheckCounts(const StepBlock& block, size_t index) {
  if (decoded_.size() <= index) {
    decoded_.resize(index + 1);
  }
  std::vector<uint32_t>& cells = decoded_[index];
  cells.assign(size_t(model_.moe_layers) * model_.experts, 0);
  const std::optional<CountsFault> fault =
      AddChecked(model_, *block.counts, block.tokens, cells.data());
  return fault ? absl::InvalidArgumentError(
                     absl::StrFormat("layer %d: %s", fault->layer, fault->message))
               : absl::OkStatus();
}

void Aggregator::Count(const Step& step) {
  const Known* known = Find(step.applied);
  sums_.applied = step.applied;
  sums_.applied_hash = known == nullptr ? 0 : known->hash;
  sums_.steps += std::max<uint32_t>(1, step.merged_steps);
  sums_.last_step = step.step;
  for (size_t i = 0; i < step.blocks.size(); ++i) {
    const StepBlock& block = step.blocks[i];
    if (block.tokens == 0) {
      continue;
    }
    int domain = 0;
    BlockSums& sums = BlockFor(block, &domain);
    sums.tokens += block.tokens;
    sums_.tokens += block.tokens;
    if (block.counts == nullptr) {
      CountTokens(block, known, &sums);
      Sample(block, domain, step.step, static_cast<int>(i));
    } else {
      AddCells(decoded_[i], &sums.counts);
    }
  }
}

BlockSums& Aggregator::BlockFor(const StepBlock& block, int* domain) {
  std::string_view name = block.domain;
  auto find = [&] { return std::find(domains_.begin(), domains_.end(), name) - domains_.begin(); };
  size_t index = find();
  if (index == domains_.size() && domains_.size() >= kMaxDomains - 1) {
    name = kOtherDomain;
    index = find();
  }
  if (index == domains_.size()) {
    domains_.emplace_back(name);
  }
  *domain = static_cast<int>(index);
  for (BlockSums& sums : sums_.blocks) {
    if (sums.phase == block.phase && sums.domain == name) {
      return sums;
    }
  }
  BlockSums sums;
  sums.domain = std::string(name);
  sums.phase = block.phase;
  sums.counts.assign(size_t(model_.moe_layers) * model_.experts, 0);
  sums_.blocks.push_back(std::move(sums));
  return sums_.blocks.back();
}

void Aggregator::CountTokens(const StepBlock& block, const Known* known, BlockSums* sums) {
  // Under a placement that is not known visits would be a guess: only the counts are taken then.
  const VisitTable& table = known != nullptr ? known->table : known_[0].table;
  const Visits visits = table.AddTokens(block.experts, block.tokens, sums->counts.data());
  if (known != nullptr) {
    sums->visit_tokens += block.tokens;
    sums->remote_visits += visits.remote;
    sums->linear_nodes += visits.linear_nodes;
  }
}

void Aggregator::Sample(const StepBlock& block, int domain, uint64_t step, int block_index) {
  const size_t token_bytes = size_t(model_.moe_layers) * model_.top_k * id_bytes_;
  const char* rows = block.experts.data();
  for (const RequestRows& r : block.requests) {
    sampler_.Add(domain, block.phase, RequestKey(r.request_id), rows, r.tokens);
    rows += r.tokens * token_bytes;
  }
  if (block.requests.empty()) {
    const uint64_t stem = Mix64(Mix64(step) ^ Mix64((uint64_t(home_.value()) << 32) | block_index));
    for (uint32_t t = 0; t < block.tokens; ++t, rows += token_bytes) {
      sampler_.AddRow(domain, block.phase, Mix64(stem + t), rows);
    }
  }
}

}  // namespace advisor::client
