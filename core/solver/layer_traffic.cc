#include "core/solver/layer_traffic.h"

#include <algorithm>

#include "core/solver/token_bits.h"

namespace advisor {
namespace {

// First bit of every home's block, then the size of the bitset.
void LayOut(const TokenPool& pool, absl::Span<const NodeId> homes, LayerTraffic& out) {
  std::vector<int> count(out.nodes, 0);
  for (const PooledToken& token : pool.tokens) {
    ++count[homes[token.request].value()];
  }
  out.first_word.assign(out.nodes + 1, 0);
  for (int h = 0; h < out.nodes; ++h) {
    out.first_word[h + 1] = out.first_word[h] + (count[h] + kWordBits - 1) / kWordBits;
  }
  out.words = out.first_word.back();
}

void AddTokens(const TokenPool& pool, int layer, absl::Span<const NodeId> homes,
               LayerTraffic& out) {
  std::vector<int> next(out.nodes);
  for (int h = 0; h < out.nodes; ++h) {
    next[h] = out.first_word[h] * kWordBits;
  }
  for (const PooledToken& token : pool.tokens) {
    const int home = homes[token.request].value();
    const int at = next[home]++;
    FetchAhead(pool, token, layer);
    const uint16_t* from = token.experts + size_t(layer) * out.top_k;
    uint16_t* ids = &out.ids[size_t(at) * out.top_k];
    out.weight[at] = token.weight;
    out.load_set[at] = token.load_set;
    out.visit_weight += token.weight;
    // What counts to a load set is added to `wanted` at the end.
    const bool counts = token.load_set >= 0;
    int64_t* sum = counts ? &out.demand[token.load_set * out.nodes + home] : &out.wanted[home];
    const size_t stride = size_t(counts ? out.load_sets : 1) * out.nodes;
    for (int i = 0; i < out.top_k; ++i) {
      const size_t e = ids[i] = from[i];
      out.chose[e * out.words + at / kWordBits] |= uint64_t{1} << (at % kWordBits);
      sum[e * stride] += token.weight;
    }
  }
  for (int e = 0; e < out.experts; ++e) {
    for (int h = 0; h < out.nodes; ++h) {
      out.wanted[size_t(e) * out.nodes + h] += out.DemandOf(e, h);
    }
  }
}

void AddSums(const TokenPool& pool, int layer, absl::Span<const NodeId> homes, LayerTraffic& out) {
  for (size_t r = 0; r < pool.requests.size(); ++r) {
    if (pool.lone_weight[r] == 0) {
      continue;
    }
    const int home = homes[r].value();
    const uint32_t* counts = &pool.requests[r]->counts[size_t(layer) * out.experts];
    for (int e = 0; e < out.experts; ++e) {
      const int64_t weight = int64_t{counts[e]} * pool.lone_weight[r];
      out.lone[size_t(e) * out.nodes + home] += static_cast<int64_t>(double(weight) * kLoneVisit);
      out.wanted[size_t(e) * out.nodes + home] += weight;
      for (int set = 0; set < out.load_sets; ++set) {
        out.demand[(size_t(e) * out.load_sets + set) * out.nodes + home] += weight;
      }
    }
  }
}

}  // namespace

LayerTraffic GatherLayer(const TokenPool& pool, int layer, absl::Span<const NodeId> homes,
                         int nodes) {
  LayerTraffic out;
  out.nodes = nodes;
  out.experts = pool.model->experts;
  out.top_k = pool.model->top_k;
  out.load_sets = pool.load_sets;
  LayOut(pool, homes, out);
  out.ids.assign(size_t(out.words) * kWordBits * out.top_k, 0);
  out.weight.assign(size_t(out.words) * kWordBits, 0);
  out.load_set.assign(size_t(out.words) * kWordBits, -1);
  out.chose.assign(size_t(out.experts) * out.words, 0);
  out.demand.assign(size_t(out.experts) * out.load_sets * nodes, 0);
  out.wanted.assign(size_t(out.experts) * nodes, 0);
  out.lone.assign(size_t(out.experts) * nodes, 0);
  AddTokens(pool, layer, homes, out);
  AddSums(pool, layer, homes, out);
  out.total_demand.assign(out.load_sets, 0);
  for (int e = 0; e < out.experts; ++e) {
    for (int set = 0; set < out.load_sets; ++set) {
      for (int h = 0; h < nodes; ++h) {
        out.total_demand[set] += out.Demand(e, set)[h];
      }
    }
    for (int h = 0; h < nodes; ++h) {
      out.visit_weight += out.lone[size_t(e) * nodes + h];
    }
  }
  return out;
}

}  // namespace advisor
