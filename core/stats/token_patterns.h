#ifndef ADVISOR_CORE_STATS_TOKEN_PATTERNS_H_
#define ADVISOR_CORE_STATS_TOKEN_PATTERNS_H_

#include <vector>

#include "core/model/phase.h"
#include "core/model/request.h"

namespace advisor {

// What only whole tokens show, sums do not: which experts are called together, and how long a
// request keeps its experts. Requests known by sums are left out of everything here. Request
// weights are not used.

// Share of a token's experts that the token `lag` positions later in the same request chose again,
// per layer. By chance: sum over experts of p^2 x top_k, with p the expert's share of activations;
// top_k / experts when all are equally popular.
std::vector<double> TokenOverlapPerLayer(const Traffic& traffic, PhaseFilter phase, int lag = 1);

// Pairs of experts chosen by one token, against what the experts' popularity alone would give: pair
// (a, b) is expected in proportion to n(a) x n(b), scaled to the pairs seen.
struct CoActivation {
  double pairs = 0;  // seen, tokens x top_k (top_k - 1) / 2
  // Mean over the pairs seen of seen / expected, corrected for sampling: 1 by chance. The chance
  // that two experts of a token belong together, as a factor on chance.
  double lift = 1;
  double top_share = 0;  // share of the pairs seen that the most frequent 10 % of all possible
                         // pairs (at least one) hold
  double top_share_chance = 0;  // the same of the expected counts
};
// Per layer, over all requests of `traffic`. Mixing domains adds to the lift what domains have in
// common; judge one domain at a time to see co-activation alone. top_k 1 has no pairs.
std::vector<CoActivation> CoActivationPerLayer(const Traffic& traffic, PhaseFilter phase);

// Mean number of distinct experts that `batch` tokens touch in a layer, mean over layers: each
// token a random one of a random request, `samples` batches drawn from `seed`. Requests are drawn
// with replacement.
double DistinctExperts(const Traffic& traffic, PhaseFilter phase, int batch, int samples,
                       uint64_t seed);

// The requests of one domain, in order.
Traffic OnlyDomain(const Traffic& traffic, const std::string& domain);

}  // namespace advisor

#endif  // ADVISOR_CORE_STATS_TOKEN_PATTERNS_H_
