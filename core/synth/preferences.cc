#include "core/synth/preferences.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"

namespace advisor {
namespace {

// Independent random streams of one seed.
enum Stream : uint64_t { kGlobal = 1, kGlobalPrefill, kAxis, kDomain, kDomainPrefill, kBlock };

// Domains kTwinDomain and kTwinOf are near twins, as history and law are in real traces.
constexpr int kTwinDomain = 5;
constexpr int kTwinOf = 3;
constexpr double kTwinCorrelation = 0.97;  // of their own preferences

// Standard deviation 1 and skewed to the left: some experts are starved, none is flooded.
LogitTable StarvedTable(const ModelSpec& model, Rng rng) {
  LogitTable table(size_t(model.moe_layers) * model.experts);
  for (float& cell : table) {
    cell = static_cast<float>(1 + std::log(1 - rng.Uniform()));
  }
  return table;
}

// Standard deviation 1 and heavy tails both ways (Laplace): a few specialists, many indifferent.
LogitTable SpecialistTable(const ModelSpec& model, Rng rng) {
  LogitTable table(size_t(model.moe_layers) * model.experts);
  for (float& cell : table) {
    cell = static_cast<float>(std::sqrt(0.5) * std::log((1 - rng.Uniform()) / (1 - rng.Uniform())));
  }
  return table;
}

// Takes the mean of every contiguous range of experts out of a table, so that no range is preferred
// as a whole.
void BalanceRanges(const GeneratorOptions& o, LogitTable& table) {
  if (o.balanced_ranges == 0) {
    return;
  }
  const size_t size = o.model.experts / o.balanced_ranges;
  for (size_t first = 0; first < table.size(); first += size) {
    float sum = 0;
    for (size_t i = first; i < first + size; ++i) {
      sum += table[i];
    }
    for (size_t i = first; i < first + size; ++i) {
      table[i] -= sum / static_cast<float>(size);
    }
  }
}

// For a and b of equal scale: a table of the same scale that correlates with a by `correlation`.
LogitTable Mix(const LogitTable& a, const LogitTable& b, double correlation) {
  LogitTable out(a.size());
  AddScaled(a, correlation, out);
  AddScaled(b, std::sqrt(1 - correlation * correlation), out);
  return out;
}

// Memberships: unit vectors over the blocks, one for each expert of each layer, so that the blocks
// favour no expert on the whole.
std::vector<LogitTable> DrawBlocks(const GeneratorOptions& o, const Rng& rng) {
  std::vector<LogitTable> blocks;
  for (int b = 0; b < o.blocks; ++b) {
    blocks.push_back(NormalTable(o.model, rng.Fork(b)));
    BalanceRanges(o, blocks.back());
  }
  for (size_t cell = 0; cell < size_t(o.model.moe_layers) * o.model.experts; ++cell) {
    double squares = 1e-12;
    for (const LogitTable& block : blocks) {
      squares += block[cell] * block[cell];
    }
    for (LogitTable& block : blocks) {
      block[cell] *= static_cast<float>(o.block_strength / std::sqrt(squares));
    }
  }
  return blocks;
}

// Position of a domain on the common axis. Golden-ratio steps spread any number of domains evenly
// over a uniform distribution of variance 1.
double AxisPosition(int domain) {
  const double steps = 0.5 + domain * 0.6180339887498949;
  return std::sqrt(3.0) * (2 * (steps - std::floor(steps)) - 1);
}

}  // namespace

LogitTable NormalTable(const ModelSpec& model, Rng rng) {
  LogitTable table(size_t(model.moe_layers) * model.experts);
  for (float& cell : table) {
    cell = FastNormal(rng);
  }
  return table;
}

void AddScaled(const LogitTable& from, double factor, LogitTable& to) {
  const auto f = static_cast<float>(factor);
  for (size_t i = 0; i < to.size(); ++i) {
    to[i] += f * from[i];
  }
}

Preferences::Preferences(const GeneratorOptions& options) : options_(options) {
  const GeneratorOptions& o = options_;
  const Rng rng(o.seed);
  blocks_ = DrawBlocks(o, rng.Fork(kBlock));
  LogitTable global_decode = StarvedTable(o.model, rng.Fork(kGlobal));
  LogitTable global_prefill =
      Mix(global_decode, StarvedTable(o.model, rng.Fork(kGlobalPrefill)), o.phase_correlation);
  BalanceRanges(o, global_decode);
  BalanceRanges(o, global_prefill);
  const LogitTable axis = DrawDirection(rng.Fork(kAxis));
  for (int d = 0; d < o.domains; ++d) {
    LogitTable decode = DrawDomainDirection(d, axis);
    LogitTable prefill =
        Mix(decode, DrawDirection(rng.Fork(kDomainPrefill).Fork(d)), o.phase_correlation);
    ApplySkew(decode);
    ApplySkew(prefill);
    AddScaled(global_decode, o.global_skew, decode);
    AddScaled(global_prefill, o.global_skew, prefill);
    std::array<LogitTable, kPhases>& tables = domains_.emplace_back();
    tables[static_cast<int>(Phase::kDecode)] = std::move(decode);
    tables[static_cast<int>(Phase::kPrefill)] = std::move(prefill);
  }
}

LogitTable Preferences::DrawDirection(const Rng& rng) const {
  LogitTable direction = SpecialistTable(options_.model, rng.Fork(0));
  Rng leaning = rng.Fork(1);
  for (const LogitTable& block : blocks_) {
    AddScaled(block, options_.block_focus * FastNormal(leaning), direction);
  }
  BalanceRanges(options_, direction);
  return direction;
}

LogitTable Preferences::DrawDomainDirection(int domain, const LogitTable& axis) const {
  const Rng rng = Rng(options_.seed).Fork(kDomain);
  const int likeness = domain == kTwinDomain ? kTwinOf : domain;
  LogitTable own = DrawDirection(rng.Fork(likeness));
  if (likeness != domain) {
    own = Mix(own, DrawDirection(rng.Fork(domain)), kTwinCorrelation);
  }
  LogitTable direction(own.size());
  AddScaled(axis, std::sqrt(options_.domain_kinship) * AxisPosition(likeness), direction);
  AddScaled(own, std::sqrt(1 - options_.domain_kinship), direction);
  return direction;
}

void Preferences::ApplySkew(LogitTable& direction) const {
  const int layers = options_.model.moe_layers, experts = options_.model.experts;
  const double middle = std::max(1, layers / 2);
  const double first = options_.domain_depth_ramp;
  for (int l = 0; l < layers; ++l) {
    const double skew = options_.domain_skew * (first + (1 - first) * std::min(1.0, l / middle));
    for (int e = 0; e < experts; ++e) {
      direction[size_t(l) * experts + e] *= static_cast<float>(skew);
    }
  }
}

std::string SyntheticDomainName(int domain) {
  static constexpr std::array kNames = {
      "code",    "math",    "chat",   "law",        "science", "history",     "medicine", "news",
      "finance", "summary", "safety", "philosophy", "fiction", "translation", "agent",    "web"};
  return domain < static_cast<int>(kNames.size()) ? kNames[domain]
                                                  : absl::StrFormat("domain-%d", domain);
}

}  // namespace advisor
