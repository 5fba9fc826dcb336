#include "core/stats/popularity.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/check.h"
#include "core/base/rng.h"

namespace advisor {
namespace {

double Mean(const std::vector<double>& v) {
  return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0) / v.size();
}

double Sum(absl::Span<const double> v) { return std::accumulate(v.begin(), v.end(), 0.0); }

// Sum of (a - a0)(b - b0).
double Product(absl::Span<const double> a, double a0, absl::Span<const double> b, double b0) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += (a[i] - a0) * (b[i] - b0);
  }
  return sum;
}

double Normalised(double ab, double aa, double bb) {
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

std::map<std::string, std::vector<const Request*>> ByDomain(const Traffic& traffic) {
  std::map<std::string, std::vector<const Request*>> by_domain;
  for (const Request& r : traffic.requests) {
    by_domain[r.domain].push_back(&r);
  }
  return by_domain;
}

ExpertCounts EmptyCounts(const ModelSpec& model) {
  return ExpertCounts(model.moe_layers, model.experts);
}

template <typename Measure>
std::vector<double> PerLayer(const ExpertCounts& a, const ExpertCounts& b, Measure measure) {
  ADVISOR_CHECK(a.layers() == b.layers() && a.experts() == b.experts());
  std::vector<double> out(a.layers());
  for (int l = 0; l < a.layers(); ++l) {
    out[l] = measure(a.row(l), b.row(l));
  }
  return out;
}

}  // namespace

void ExpertCounts::Add(const ExpertCounts& other, double factor) {
  ADVISOR_CHECK(cells_.size() == other.cells_.size());
  for (size_t i = 0; i < cells_.size(); ++i) {
    cells_[i] += factor * other.cells_[i];
  }
}

void AddRequest(const ModelSpec& model, const Request& request, PhaseFilter phase,
                ExpertCounts& out) {
  if (request.counts_only() && phase != PhaseFilter::kAll) {
    return;
  }
  for (int l = 0; l < model.moe_layers; ++l) {
    AddDemand(model, request, phase, l, out.row(l).data());
  }
}

ExpertCounts CountExperts(const Traffic& traffic, PhaseFilter phase) {
  ExpertCounts counts = EmptyCounts(traffic.model);
  for (const Request& r : traffic.requests) {
    AddRequest(traffic.model, r, phase, counts);
  }
  return counts;
}

std::vector<DomainExpertCounts> CountExpertsByDomain(const Traffic& traffic, PhaseFilter phase) {
  std::vector<DomainExpertCounts> out;
  for (const auto& [domain, requests] : ByDomain(traffic)) {
    out.push_back({domain, EmptyCounts(traffic.model)});
    for (const Request* r : requests) {
      AddRequest(traffic.model, *r, phase, out.back().counts);
    }
  }
  return out;
}

double MaxOverMean(absl::Span<const double> counts) {
  const double sum = Sum(counts);
  return sum > 0 ? *std::max_element(counts.begin(), counts.end()) * counts.size() / sum : 0;
}

double Gini(absl::Span<const double> counts) {
  const double sum = Sum(counts);
  if (!(sum > 0)) {
    return 0;
  }
  std::vector<double> sorted(counts.begin(), counts.end());
  std::sort(sorted.begin(), sorted.end());
  const double n = static_cast<double>(sorted.size());
  double ranked = 0;  // sum of rank x value, ranks from 1, rising values
  for (size_t i = 0; i < sorted.size(); ++i) {
    ranked += (i + 1) * sorted[i];
  }
  return 2 * ranked / (n * sum) - (n + 1) / n;
}

double TopShare(absl::Span<const double> counts, int top) {
  const double sum = Sum(counts);
  if (!(sum > 0)) {
    return 0;
  }
  std::vector<double> sorted(counts.begin(), counts.end());
  std::sort(sorted.rbegin(), sorted.rend());
  const int taken = std::clamp(top, 0, static_cast<int>(sorted.size()));
  return std::accumulate(sorted.begin(), sorted.begin() + taken, 0.0) / sum;
}

double Cosine(absl::Span<const double> a, absl::Span<const double> b) {
  return Normalised(Product(a, 0, b, 0), Product(a, 0, a, 0), Product(b, 0, b, 0));
}

double Correlation(absl::Span<const double> a, absl::Span<const double> b) {
  if (a.empty()) {
    return 0;
  }
  const double a0 = Sum(a) / a.size(), b0 = Sum(b) / b.size();
  return Normalised(Product(a, a0, b, b0), Product(a, a0, a, a0), Product(b, b0, b, b0));
}

std::vector<Imbalance> ImbalancePerLayer(const ExpertCounts& counts) {
  std::vector<Imbalance> out(counts.layers());
  for (int l = 0; l < counts.layers(); ++l) {
    out[l] = {MaxOverMean(counts.row(l)), Gini(counts.row(l))};
  }
  return out;
}

std::vector<double> CosinePerLayer(const ExpertCounts& a, const ExpertCounts& b) {
  return PerLayer(a, b, Cosine);
}

std::vector<double> CorrelationPerLayer(const ExpertCounts& a, const ExpertCounts& b) {
  return PerLayer(a, b, Correlation);
}

std::vector<DomainPair> DomainSimilarity(absl::Span<const DomainExpertCounts> domains) {
  std::vector<DomainPair> pairs;
  for (int a = 0; a < static_cast<int>(domains.size()); ++a) {
    for (int b = a + 1; b < static_cast<int>(domains.size()); ++b) {
      std::vector<double> per_layer = CosinePerLayer(domains[a].counts, domains[b].counts);
      const double mean = Mean(per_layer);
      pairs.push_back({a, b, mean, std::move(per_layer)});
    }
  }
  return pairs;
}

std::vector<DomainHalves> WithinDomainSimilarity(const Traffic& traffic, PhaseFilter phase,
                                                 uint64_t seed) {
  std::vector<DomainHalves> out;
  Rng rng(seed);
  for (auto& [domain, requests] : ByDomain(traffic)) {
    if (requests.size() < 2) {
      continue;
    }
    std::vector<const Request*> order = requests;
    for (size_t i = order.size() - 1; i > 0; --i) {
      std::swap(order[i], order[rng.Below(static_cast<uint32_t>(i + 1))]);
    }
    ExpertCounts halves[2] = {EmptyCounts(traffic.model), EmptyCounts(traffic.model)};
    for (size_t i = 0; i < order.size(); ++i) {
      AddRequest(traffic.model, *order[i], phase, halves[i % 2]);
    }
    out.push_back({domain, Mean(CosinePerLayer(halves[0], halves[1]))});
  }
  return out;
}

double NearestDomainAccuracy(const Traffic& traffic, PhaseFilter phase) {
  std::vector<DomainExpertCounts> domains = CountExpertsByDomain(traffic, phase);
  int own = 0;
  for (const Request& r : traffic.requests) {
    ExpertCounts counts = EmptyCounts(traffic.model);
    AddRequest(traffic.model, r, phase, counts);
    double best = -1;
    const std::string* nearest = nullptr;
    for (DomainExpertCounts& d : domains) {
      const bool mine = d.domain == r.domain;
      if (mine) {
        d.counts.Add(counts, -1);
      }
      if (const double cosine = Mean(CosinePerLayer(counts, d.counts)); cosine > best) {
        best = cosine;
        nearest = &d.domain;
      }
      if (mine) {
        d.counts.Add(counts);
      }
    }
    own += nearest != nullptr && *nearest == r.domain;
  }
  return traffic.requests.empty() ? 0 : static_cast<double>(own) / traffic.requests.size();
}

std::vector<PhaseCorrelation> PhaseCorrelationByDomain(const Traffic& traffic) {
  const std::vector<DomainExpertCounts> prefill =
      CountExpertsByDomain(traffic, PhaseFilter::kPrefill);
  const std::vector<DomainExpertCounts> decode =
      CountExpertsByDomain(traffic, PhaseFilter::kDecode);
  std::vector<PhaseCorrelation> out;
  for (size_t d = 0; d < prefill.size(); ++d) {
    std::vector<double> per_layer = CorrelationPerLayer(prefill[d].counts, decode[d].counts);
    const double mean = Mean(per_layer);
    out.push_back({prefill[d].domain, mean, std::move(per_layer)});
  }
  return out;
}

}  // namespace advisor
