#include "client/replay/sequence.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

namespace advisor::client {
namespace {

constexpr double kMixShare = 0.9;  // of a domain's requests come in the half whose mix it is

// Domains in two halves of about equally many tokens.
void SplitDomains(const Traffic& traffic, Sequence* out) {
  std::map<std::string, int64_t> tokens;
  for (const Request& r : traffic.requests) {
    tokens[r.domain] += r.tokens;
  }
  if (tokens.size() < 2) {
    return;
  }
  std::vector<std::pair<std::string, int64_t>> domains(tokens.begin(), tokens.end());
  std::stable_sort(domains.begin(), domains.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  int64_t first = 0, second = 0;
  for (const auto& [name, count] : domains) {
    const bool to_first = first <= second;
    (to_first ? out->first_mix : out->second_mix).push_back(name);
    (to_first ? first : second) += count;
  }
  std::sort(out->first_mix.begin(), out->first_mix.end());
  std::sort(out->second_mix.begin(), out->second_mix.end());
}

size_t Share(double share, size_t n) {
  return static_cast<size_t>(share * static_cast<double>(n) + 0.5);
}

// Both lists spread evenly over each other.
void Interleave(std::vector<int> a, std::vector<int> b, std::vector<int>* out) {
  size_t i = 0, j = 0;
  while (i < a.size() || j < b.size()) {
    // The list that is behind its share goes next.
    if (j == b.size() || (i < a.size() && (i + 1) * b.size() <= (j + 1) * a.size())) {
      out->push_back(a[i++]);
    } else {
      out->push_back(b[j++]);
    }
  }
}

}  // namespace

Sequence MakeSequence(const Traffic& traffic, bool shift) {
  Sequence out;
  const size_t n = traffic.requests.size();
  out.second_half = n / 2;
  if (shift) {
    SplitDomains(traffic, &out);
  }
  if (out.first_mix.empty()) {
    out.order.resize(n);
    std::iota(out.order.begin(), out.order.end(), 0);
    return out;
  }
  std::vector<int> first, second;
  for (size_t i = 0; i < n; ++i) {
    const bool is_first =
        std::binary_search(out.first_mix.begin(), out.first_mix.end(), traffic.requests[i].domain);
    (is_first ? first : second).push_back(static_cast<int>(i));
  }
  const auto from_first = first.begin() + static_cast<ptrdiff_t>(Share(kMixShare, first.size()));
  const auto from_second =
      second.begin() + static_cast<ptrdiff_t>(Share(1 - kMixShare, second.size()));
  Interleave({first.begin(), from_first}, {second.begin(), from_second}, &out.order);
  out.second_half = out.order.size();
  Interleave({from_first, first.end()}, {from_second, second.end()}, &out.order);
  return out;
}

}  // namespace advisor::client
