#include "core/window/statistics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace advisor {
namespace {

// Sums over one layer from which cosines follow.
struct Products {
  double ab = 0, aa = 0, bb = 0;
};

double Count(const DomainCounts* domain, PhaseFilter filter, size_t cell) {
  double count = 0;
  for (int phase = 0; domain != nullptr && phase < kPhases; ++phase) {
    if (Includes(filter, static_cast<Phase>(phase)) && !domain->counts[phase].empty()) {
      count += domain->counts[phase][cell];
    }
  }
  return count;
}

void AddProducts(const ModelSpec& model, const DomainCounts* a, const DomainCounts* b,
                 PhaseFilter filter, std::vector<Products>* layers) {
  for (int layer = 0; layer < model.moe_layers; ++layer) {
    Products& sums = (*layers)[layer];
    for (int e = 0; e < model.experts; ++e) {
      const size_t cell = size_t(layer) * model.experts + e;
      const double x = Count(a, filter, cell);
      const double y = Count(b, filter, cell);
      sums.ab += x * y;
      sums.aa += x * x;
      sums.bb += y * y;
    }
  }
}

double MeanDrift(const std::vector<Products>& layers) {
  double drift = 0;
  for (const Products& sums : layers) {
    if (sums.aa == 0 || sums.bb == 0) {
      return 0;
    }
    drift += std::max(0.0, 1 - sums.ab / std::sqrt(sums.aa * sums.bb));
  }
  return layers.empty() ? 0 : drift / static_cast<double>(layers.size());
}

const DomainCounts* FindDomain(const std::vector<DomainCounts>& domains, const std::string& name) {
  const auto it = std::lower_bound(
      domains.begin(), domains.end(), name,
      [](const DomainCounts& domain, const std::string& n) { return domain.domain < n; });
  return it != domains.end() && it->domain == name ? &*it : nullptr;
}

// Pearson correlation of two rows; 0 when one of them is constant.
double Correlation(const uint32_t* x, const uint32_t* y, int n) {
  double sx = 0, sy = 0;
  for (int i = 0; i < n; ++i) {
    sx += x[i];
    sy += y[i];
  }
  double xy = 0, xx = 0, yy = 0;
  for (int i = 0; i < n; ++i) {
    const double dx = x[i] - sx / n;
    const double dy = y[i] - sy / n;
    xy += dx * dy;
    xx += dx * dx;
    yy += dy * dy;
  }
  return xx == 0 || yy == 0 ? 0 : xy / std::sqrt(xx * yy);
}

// Returns the bytes of sums that were read.
uint64_t AddReporter(const std::string& id, const ReporterWindow& reporter, const LeftOut& left_out,
                     std::map<std::string, DomainCounts>* domains) {
  uint64_t bytes = 0;
  for (const ReporterWindow::Slot& slot : reporter.slots()) {
    const std::string& name = reporter.domains()[slot.domain].name;
    if (slot.window_tokens == 0 || left_out.contains({id, name})) {
      continue;
    }
    DomainCounts& domain = (*domains)[name];
    domain.domain = name;
    const int phase = static_cast<int>(slot.phase);
    domain.tokens[phase] += slot.window_tokens;
    const ReporterWindow::Cells counts = reporter.Window(slot);
    domain.counts[phase].resize(counts.size(), 0);
    counts.AddTo(domain.counts[phase].data());
    bytes += counts.bytes();
  }
  return bytes;
}

}  // namespace

uint64_t DomainCounts::TokensOf(PhaseFilter filter) const {
  uint64_t sum = 0;
  for (int phase = 0; phase < kPhases; ++phase) {
    sum += Includes(filter, static_cast<Phase>(phase)) ? tokens[phase] : 0;
  }
  return sum;
}

bool CountsScan::Continue(const TrafficWindow& window, const LeftOut& left_out, uint64_t bytes) {
  uint64_t read = 0;
  auto at = window.reporters().upper_bound(last_);
  for (; at != window.reporters().end() && read < bytes; ++at) {
    read += AddReporter(at->first, *at->second, left_out, &domains_);
    last_ = at->first;
  }
  return at == window.reporters().end();
}

std::vector<DomainCounts> CountsScan::Take() {
  last_.clear();
  std::vector<DomainCounts> sorted;
  for (auto& [name, domain] : domains_) {
    sorted.push_back(std::move(domain));
  }
  domains_.clear();
  return sorted;
}

std::vector<DomainCounts> CountsByDomain(const TrafficWindow& window, const LeftOut& left_out) {
  CountsScan scan;
  scan.Continue(window, left_out, std::numeric_limits<uint64_t>::max());
  return scan.Take();
}

double Drift(const ModelSpec& model, const std::vector<DomainCounts>& solved_for,
             const std::vector<DomainCounts>& now, PhaseFilter phase) {
  std::vector<Products> layers(model.moe_layers);
  for (const DomainCounts& domain : now) {
    AddProducts(model, FindDomain(solved_for, domain.domain), &domain, phase, &layers);
  }
  for (const DomainCounts& domain : solved_for) {
    if (FindDomain(now, domain.domain) == nullptr) {
      AddProducts(model, &domain, nullptr, phase, &layers);
    }
  }
  return MeanDrift(layers);
}

double DomainDrift(const ModelSpec& model, const std::vector<DomainCounts>& solved_for,
                   const DomainCounts& now, PhaseFilter phase) {
  std::vector<Products> layers(model.moe_layers);
  AddProducts(model, FindDomain(solved_for, now.domain), &now, phase, &layers);
  return MeanDrift(layers);
}

std::optional<double> PrefillDecodeCorrelation(const ModelSpec& model, const DomainCounts& domain) {
  if (std::min(domain.tokens[0], domain.tokens[1]) < kCorrelationTokens) {
    return std::nullopt;
  }
  double sum = 0;
  for (int layer = 0; layer < model.moe_layers; ++layer) {
    const size_t row = size_t(layer) * model.experts;
    sum += Correlation(&domain.counts[0][row], &domain.counts[1][row], model.experts);
  }
  return sum / model.moe_layers;
}

}  // namespace advisor
