#ifndef ADVISOR_CORE_STATS_CHARACTERIZE_H_
#define ADVISOR_CORE_STATS_CHARACTERIZE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/model/phase.h"
#include "core/model/request.h"
#include "core/stats/popularity.h"
#include "core/stats/token_patterns.h"

namespace advisor {

// What traffic has to give to a placement, before any expert is moved: the three findings of arXiv
// 2604.23150 (load is uneven and moves; domains prefer different experts; prefill predicts decode)
// and a fourth, which experts are chosen together.

struct CharacterizeOptions {
  PhaseFilter phase = PhaseFilter::kAll;  // of all but the prefill/decode correlation
  int slices = 8;                         // of time, >= 1
  uint64_t seed = 1;                      // of the random halves of domains
};

// A stretch of consecutive requests, about as many tokens in each.
struct TimeSlice {
  int first_request = 0, requests = 0;
  double tokens = 0;                 // weighted, of the phase
  std::vector<Imbalance> per_layer;  // overstated where tokens are few against experts
  double max_over_mean = 0;          // mean over layers
  // Cosine of the histograms, mean over layers; unset: the first.
  std::optional<double> cosine_to_previous;
};

struct HotExpert {
  int layer = 0, expert = 0;
  double over_mean = 0;  // its count over the mean of its layer
};

struct DomainProfile {
  std::string domain;
  int requests = 0;
  double tokens = 0;                    // weighted, of the phase
  double max_over_mean = 0, gini = 0;   // median over layers
  std::vector<HotExpert> hottest;       // over all layers, hottest first, at most kHottest
  std::optional<double> within_cosine;  // of random halves; unset: fewer than two requests
  std::optional<PhaseCorrelation> prefill_decode;  // unset: a phase without whole tokens
  std::vector<CoActivation> co_activation;         // [layers]
  double lift = 1;                                 // of pairs of experts, mean over layers
};
inline constexpr int kHottest = 5;

struct PairProfile {
  DomainPair similarity;  // indices into Characterization::domains
  // Overlap of the hottest tenth of the experts (at least one), mean over layers.
  double jaccard = 0;
  bool twins = false;  // cosine at least kTwinCosine
};
// From here on two domains are one for a placement. Random halves of one domain of real traces lie
// between 0.92 and 0.99 where they have ten requests or more.
inline constexpr double kTwinCosine = 0.95;

struct Characterization {
  ModelSpec model;
  std::string source;
  PhaseFilter phase = PhaseFilter::kAll;
  int requests = 0;
  // Requests, of those, known by counts alone: they say nothing of phases and pairs.
  int requests_by_sums = 0;
  double tokens = 0;                   // weighted, of the phase
  double tokens_of[kPhases] = {0, 0};  // weighted, of requests known whole
  ExpertCounts counts;                 // all domains pooled
  std::vector<Imbalance> per_layer;
  double max_over_mean = 0, gini = 0;  // median over layers
  std::vector<TimeSlice> slices;
  std::vector<DomainProfile> domains;       // sorted by label
  std::vector<ExpertCounts> domain_counts;  // as `domains`
  std::vector<PairProfile> pairs;           // in order of (a, b)
  // Inside domains, weighted by their pairs, so that what domains have in common does not count.
  std::vector<CoActivation> co_activation;  // [layers]
  double lift = 1;                          // mean over layers
};

// `traffic` must be valid (Validate(model, request)). Deterministic in traffic and options. Costs
// about layers x tokens x top_k^2 steps, and domains^2 x layers x experts.
Characterization Characterize(const Traffic& traffic, const CharacterizeOptions& options);

// One field of every item: Each(c.per_layer, &Imbalance::gini).
template <typename T>
std::vector<double> Each(const std::vector<T>& items, double T::*field) {
  std::vector<double> out;
  for (const T& item : items) {
    out.push_back(item.*field);
  }
  return out;
}

// Overlap of the `top` largest of two histograms: |both| / |either|, ties to the lower index.
double TopJaccard(absl::Span<const double> a, absl::Span<const double> b, int top);

}  // namespace advisor

#endif  // ADVISOR_CORE_STATS_CHARACTERIZE_H_
