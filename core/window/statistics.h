#ifndef ADVISOR_CORE_WINDOW_STATISTICS_H_
#define ADVISOR_CORE_WINDOW_STATISTICS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/model/model_spec.h"
#include "core/model/phase.h"
#include "core/window/outliers.h"
#include "core/window/traffic_window.h"

namespace advisor {

// One domain's counts in the window, over all home nodes: how requests arrive, whatever the
// grouping made of them.
struct DomainCounts {
  std::string domain;
  uint64_t tokens[kPhases] = {0, 0};
  std::vector<uint32_t> counts[kPhases];  // [layers, experts]; empty: no tokens of that phase

  uint64_t TokensOf(PhaseFilter phase) const;
};

// All domains with tokens in the window, sorted by name.
std::vector<DomainCounts> CountsByDomain(const TrafficWindow& window, const LeftOut& left_out = {});

// CountsByDomain() in pieces, of a window too large to be summed at a stretch. It may change
// between them: each reporter is counted as it is when its turn comes. Not thread-safe.
class CountsScan {
 public:
  // Adds whole reporters, by name, until at least so many bytes of sums were read; true: there are
  // no more.
  bool Continue(const TrafficWindow& window, const LeftOut& left_out, uint64_t bytes);
  // What was added; another scan begins.
  std::vector<DomainCounts> Take();

 private:
  std::map<std::string, DomainCounts> domains_;
  std::string last_;  // reporter; empty: none was added
};

// How far counts have moved: 1 - cosine of the two per layer, mean over layers; 0 .. 1. A domain's
// counts are a part of the vector of their own, so both a shift of the mix and a shift inside a
// domain show. 0 when either side is empty.
double Drift(const ModelSpec& model, const std::vector<DomainCounts>& solved_for,
             const std::vector<DomainCounts>& now, PhaseFilter phase);
// The same for one domain; 0 when it is missing on either side.
double DomainDrift(const ModelSpec& model, const std::vector<DomainCounts>& solved_for,
                   const DomainCounts& now, PhaseFilter phase);

// Pearson correlation over experts of a domain's prefill and decode counts, mean over layers. Unset
// with fewer than kCorrelationTokens tokens of either phase.
inline constexpr uint64_t kCorrelationTokens = 256;
std::optional<double> PrefillDecodeCorrelation(const ModelSpec& model, const DomainCounts& domain);

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_STATISTICS_H_
