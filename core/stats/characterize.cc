#include "core/stats/characterize.h"

#include <algorithm>
#include <numeric>

#include "absl/container/flat_hash_map.h"
#include "core/base/check.h"

namespace advisor {
namespace {

// One split of a domain in two is a matter of luck where requests are few.
constexpr int kHalvings = 5;
constexpr int kTopShareOfExperts = 10;  // the hottest tenth

double Median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  const size_t middle = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + middle, values.end());
  const double upper = values[middle];
  if (values.size() % 2 == 1) {
    return upper;
  }
  return (*std::max_element(values.begin(), values.begin() + middle) + upper) / 2;
}

template <typename T>
double MeanOf(const std::vector<T>& items, double T::*field) {
  const std::vector<double> values = Each(items, field);
  return values.empty() ? 0 : std::accumulate(values.begin(), values.end(), 0.0) / values.size();
}

// Tokens whose experts enter counts of `phase`, as AddRequest counts them.
double CountedTokens(const Request& request, PhaseFilter phase) {
  const bool left_out = request.counts_only() && phase != PhaseFilter::kAll;
  return left_out ? 0 : request.weight * request.tokens_in(phase);
}

// The `top` largest, as flags; ties to the lower index.
std::vector<bool> Largest(absl::Span<const double> counts, int top) {
  std::vector<int> order(counts.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return counts[a] > counts[b]; });
  std::vector<bool> in(counts.size(), false);
  for (int i = 0; i < std::min<int>(top, static_cast<int>(order.size())); ++i) {
    in[order[i]] = true;
  }
  return in;
}

std::vector<TimeSlice> CutInSlices(const Traffic& traffic, const CharacterizeOptions& options,
                                   double tokens) {
  const ModelSpec& model = traffic.model;
  std::vector<TimeSlice> slices;
  ExpertCounts previous, counts(model.moe_layers, model.experts);
  double seen = 0;
  TimeSlice slice;
  for (size_t i = 0; i < traffic.requests.size(); ++i) {
    const Request& request = traffic.requests[i];
    AddRequest(model, request, options.phase, counts);
    ++slice.requests;
    slice.tokens += CountedTokens(request, options.phase);
    seen += CountedTokens(request, options.phase);
    const bool last = i + 1 == traffic.requests.size();
    const double end = tokens * (static_cast<double>(slices.size()) + 1) / options.slices;
    if (slice.tokens == 0 || (!last && seen < end)) {
      continue;
    }
    slice.per_layer = ImbalancePerLayer(counts);
    slice.max_over_mean = MeanOf(slice.per_layer, &Imbalance::max_over_mean);
    if (!slices.empty()) {
      const std::vector<double> cosines = CosinePerLayer(previous, counts);
      slice.cosine_to_previous =
          std::accumulate(cosines.begin(), cosines.end(), 0.0) / cosines.size();
    }
    slices.push_back(std::move(slice));
    slice = TimeSlice();
    slice.first_request = static_cast<int>(i) + 1;
    previous = std::move(counts);
    counts = ExpertCounts(model.moe_layers, model.experts);
  }
  return slices;
}

std::vector<HotExpert> HottestExperts(const ExpertCounts& counts) {
  std::vector<HotExpert> all;
  for (int l = 0; l < counts.layers(); ++l) {
    const absl::Span<const double> row = counts.row(l);
    const double mean = std::accumulate(row.begin(), row.end(), 0.0) / counts.experts();
    for (int e = 0; e < counts.experts() && mean > 0; ++e) {
      all.push_back({l, e, row[e] / mean});
    }
  }
  const size_t kept = std::min<size_t>(kHottest, all.size());
  std::partial_sort(all.begin(), all.begin() + kept, all.end(),
                    [](const HotExpert& a, const HotExpert& b) {
                      return a.over_mean != b.over_mean ? a.over_mean > b.over_mean
                             : a.layer != b.layer       ? a.layer < b.layer
                                                        : a.expert < b.expert;
                    });
  all.resize(kept);
  return all;
}

// Cosine of random halves by label, mean over several halvings.
absl::flat_hash_map<std::string, double> HalvesByDomain(const Traffic& traffic,
                                                        const CharacterizeOptions& options) {
  absl::flat_hash_map<std::string, double> out;
  for (int i = 0; i < kHalvings; ++i) {
    for (const DomainHalves& halves :
         WithinDomainSimilarity(traffic, options.phase, options.seed + i)) {
      out[halves.domain] += halves.cosine / kHalvings;
    }
  }
  return out;
}

DomainProfile ProfileOf(const Traffic& requests, const DomainExpertCounts& domain,
                        const CharacterizeOptions& options) {
  DomainProfile out;
  out.domain = domain.domain;
  double whole[kPhases] = {0, 0};
  for (const Request& r : requests.requests) {
    ++out.requests;
    out.tokens += CountedTokens(r, options.phase);
    whole[0] += CountedTokens(r, PhaseFilter::kPrefill);
    whole[1] += CountedTokens(r, PhaseFilter::kDecode);
  }
  const std::vector<Imbalance> layers = ImbalancePerLayer(domain.counts);
  out.max_over_mean = Median(Each(layers, &Imbalance::max_over_mean));
  out.gini = Median(Each(layers, &Imbalance::gini));
  out.hottest = HottestExperts(domain.counts);
  if (whole[0] > 0 && whole[1] > 0) {
    out.prefill_decode = PhaseCorrelationByDomain(requests).front();
  }
  out.co_activation = CoActivationPerLayer(requests, options.phase);
  out.lift = MeanOf(out.co_activation, &CoActivation::lift);
  return out;
}

PairProfile ProfileOf(DomainPair pair, const Characterization& all) {
  PairProfile out;
  const ExpertCounts& a = all.domain_counts[pair.a];
  const ExpertCounts& b = all.domain_counts[pair.b];
  const int top = std::max(1, a.experts() / kTopShareOfExperts);
  for (int l = 0; l < a.layers(); ++l) {
    out.jaccard += TopJaccard(a.row(l), b.row(l), top) / a.layers();
  }
  out.twins = pair.cosine >= kTwinCosine;
  out.similarity = std::move(pair);
  return out;
}

// Domain by domain, each weighing as many pairs as it has in the layer.
std::vector<CoActivation> PoolInsideDomains(const std::vector<DomainProfile>& domains, int layers) {
  std::vector<CoActivation> out(layers);
  for (int l = 0; l < layers; ++l) {
    CoActivation sum{0, 0, 0, 0};
    for (const DomainProfile& domain : domains) {
      const CoActivation& own = domain.co_activation[l];
      sum.pairs += own.pairs;
      sum.lift += own.pairs * own.lift;
      sum.top_share += own.pairs * own.top_share;
      sum.top_share_chance += own.pairs * own.top_share_chance;
    }
    if (sum.pairs > 0) {
      out[l] = {sum.pairs, sum.lift / sum.pairs, sum.top_share / sum.pairs,
                sum.top_share_chance / sum.pairs};
    }
  }
  return out;
}

}  // namespace

double TopJaccard(absl::Span<const double> a, absl::Span<const double> b, int top) {
  ADVISOR_CHECK(a.size() == b.size());
  const std::vector<bool> in_a = Largest(a, top), in_b = Largest(b, top);
  int both = 0, either = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += in_a[i] && in_b[i];
    either += in_a[i] || in_b[i];
  }
  return either > 0 ? static_cast<double>(both) / either : 0;
}

Characterization Characterize(const Traffic& traffic, const CharacterizeOptions& options) {
  ADVISOR_CHECK(options.slices >= 1);
  Characterization out;
  out.model = traffic.model;
  out.source = traffic.source;
  out.phase = options.phase;
  for (const Request& r : traffic.requests) {
    ++out.requests;
    out.requests_by_sums += r.counts_only();
    out.tokens += CountedTokens(r, options.phase);
    out.tokens_of[0] += CountedTokens(r, PhaseFilter::kPrefill);
    out.tokens_of[1] += CountedTokens(r, PhaseFilter::kDecode);
  }
  out.counts = CountExperts(traffic, options.phase);
  out.per_layer = ImbalancePerLayer(out.counts);
  out.max_over_mean = Median(Each(out.per_layer, &Imbalance::max_over_mean));
  out.gini = Median(Each(out.per_layer, &Imbalance::gini));
  out.slices = CutInSlices(traffic, options, out.tokens);

  const std::vector<DomainExpertCounts> domains = CountExpertsByDomain(traffic, options.phase);
  const auto halves = HalvesByDomain(traffic, options);
  for (const DomainExpertCounts& domain : domains) {
    out.domains.push_back(ProfileOf(OnlyDomain(traffic, domain.domain), domain, options));
    if (const auto it = halves.find(domain.domain); it != halves.end()) {
      out.domains.back().within_cosine = it->second;
    }
    out.domain_counts.push_back(domain.counts);
  }
  for (DomainPair& pair : DomainSimilarity(domains)) {
    out.pairs.push_back(ProfileOf(std::move(pair), out));
  }
  out.co_activation = PoolInsideDomains(out.domains, traffic.model.moe_layers);
  out.lift = MeanOf(out.co_activation, &CoActivation::lift);
  return out;
}

}  // namespace advisor
