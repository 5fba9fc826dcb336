#ifndef ADVISOR_CORE_STATS_POPULARITY_H_
#define ADVISOR_CORE_STATS_POPULARITY_H_

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "core/model/phase.h"
#include "core/model/request.h"

namespace advisor {

// What traffic says about the popularity of experts, as far as sums can show it: how uneven, how
// different from domain to domain, how alike in prefill and decode. Sums may come from a trace
// (CountExperts) or from a live window.

// How often every expert of every layer was chosen. Shape [layers, experts]; fractional where
// requests carry weights.
class ExpertCounts {
 public:
  ExpertCounts() = default;
  ExpertCounts(int layers, int experts)
      : layers_(layers), experts_(experts), cells_(size_t(layers) * experts, 0.0) {}

  int layers() const { return layers_; }
  int experts() const { return experts_; }
  absl::Span<double> row(int layer) {
    return {&cells_[size_t(layer) * experts_], size_t(experts_)};
  }
  absl::Span<const double> row(int layer) const {
    return {&cells_[size_t(layer) * experts_], size_t(experts_)};
  }
  // Cell by cell; same shapes.
  void Add(const ExpertCounts& other, double factor = 1);

 private:
  int layers_ = 0, experts_ = 0;
  std::vector<double> cells_;
};

struct DomainExpertCounts {
  std::string domain;
  ExpertCounts counts;
};

// Adds one request's choices in `phase`, times its weight. A request known by sums does not say
// which phase they are from: it counts with kAll and is left out otherwise.
void AddRequest(const ModelSpec& model, const Request& request, PhaseFilter phase,
                ExpertCounts& out);
ExpertCounts CountExperts(const Traffic& traffic, PhaseFilter phase);
// One entry per label, sorted by label.
std::vector<DomainExpertCounts> CountExpertsByDomain(const Traffic& traffic, PhaseFilter phase);

// The primitives, each over one layer's counts. All are 0 where there is nothing to measure.
double MaxOverMean(absl::Span<const double> counts);
// 0: all equal; towards 1: all on one expert.
double Gini(absl::Span<const double> counts);
// Share of all counts that the `top` largest hold: what a node with room for `top` experts could
// serve at best.
double TopShare(absl::Span<const double> counts, int top);
double Cosine(absl::Span<const double> a, absl::Span<const double> b);
// Pearson's.
double Correlation(absl::Span<const double> a, absl::Span<const double> b);

struct Imbalance {
  double max_over_mean = 0;
  double gini = 0;
};
std::vector<Imbalance> ImbalancePerLayer(const ExpertCounts& counts);

std::vector<double> CosinePerLayer(const ExpertCounts& a, const ExpertCounts& b);
std::vector<double> CorrelationPerLayer(const ExpertCounts& a, const ExpertCounts& b);

struct DomainPair {
  int a = 0, b = 0;   // indices into the domains given, a < b
  double cosine = 0;  // of the two histograms, mean over layers
  std::vector<double> per_layer;
};
// Every pair of domains, in order of (a, b).
std::vector<DomainPair> DomainSimilarity(absl::Span<const DomainExpertCounts> domains);

// Sampling noise of DomainSimilarity: each domain's requests are split at random into halves, and
// the halves compared as two domains would be. Mean over layers, one entry per label, sorted by
// label; domains of one request are left out.
struct DomainHalves {
  std::string domain;
  double cosine = 0;
};
std::vector<DomainHalves> WithinDomainSimilarity(const Traffic& traffic, PhaseFilter phase,
                                                 uint64_t seed);

// Share of requests whose nearest domain by cosine of their own counts (mean over layers,
// themselves left out) is their own.
double NearestDomainAccuracy(const Traffic& traffic, PhaseFilter phase);

// Do the experts used in prefill predict those used in decode? Correlation of the per-layer counts,
// mean over layers.
struct PhaseCorrelation {
  std::string domain;
  double correlation = 0;
  std::vector<double> per_layer;
};
// One entry per label, sorted by label. Only requests known token by token say anything.
std::vector<PhaseCorrelation> PhaseCorrelationByDomain(const Traffic& traffic);

}  // namespace advisor

#endif  // ADVISOR_CORE_STATS_POPULARITY_H_
