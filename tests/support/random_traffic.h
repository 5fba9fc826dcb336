#ifndef ADVISOR_TESTS_SUPPORT_RANDOM_TRAFFIC_H_
#define ADVISOR_TESTS_SUPPORT_RANDOM_TRAFFIC_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/rng.h"
#include "core/model/placement.h"
#include "core/model/request.h"

namespace advisor::testing {

inline ModelSpec SmallModel(int layers, int experts, int top_k) {
  ModelSpec m;
  m.name = "small";
  m.moe_layers = layers;
  m.experts = experts;
  m.top_k = top_k;
  m.hidden_size = 16;
  m.expert_bytes = 1000;
  return m;
}

// A request of whole tokens. Experts near `taste` are likelier, so that different tastes use
// different experts.
inline Request RandomRequest(const ModelSpec& model, std::string id, int tokens, int prompt_tokens,
                             int taste, Rng* rng) {
  Request r;
  r.id = std::move(id);
  r.tokens = tokens;
  r.prompt_tokens = prompt_tokens;
  for (int i = 0; i < tokens * model.moe_layers; ++i) {
    std::vector<uint16_t> ids;
    while (static_cast<int>(ids.size()) < model.top_k) {
      const uint32_t spread = rng->Below(2) == 0 ? std::max(2, model.experts / 3) : model.experts;
      const auto e = static_cast<uint16_t>((taste + rng->Below(spread)) % model.experts);
      if (std::find(ids.begin(), ids.end(), e) == ids.end()) {
        ids.push_back(e);
      }
    }
    r.experts.insert(r.experts.end(), ids.begin(), ids.end());
  }
  return r;
}

// The same request known only by sums over all its tokens.
inline Request SumsOf(const ModelSpec& model, const Request& request) {
  Request r;
  r.id = request.id;
  r.domain = request.domain;
  r.tokens = request.tokens;
  r.prompt_tokens = request.prompt_tokens;
  r.weight = request.weight;
  r.counts.assign(size_t(model.moe_layers) * model.experts, 0);
  for (int t = 0; t < request.tokens; ++t) {
    for (int l = 0; l < model.moe_layers; ++l) {
      for (int i = 0; i < model.top_k; ++i) {
        ++r.counts[size_t(l) * model.experts + request.token(model, t, l)[i]];
      }
    }
  }
  return r;
}

// Requests of `domains` tastes, named d0, d1, ..., of 4 to 11 tokens each, about a third of
// them prompt.
inline Traffic RandomTraffic(const ModelSpec& model, int requests, int domains, Rng* rng) {
  Traffic traffic;
  traffic.model = model;
  traffic.source = "random";
  for (int i = 0; i < requests; ++i) {
    const int tokens = 4 + static_cast<int>(rng->Below(8));
    const int domain = static_cast<int>(rng->Below(domains));
    traffic.requests.push_back(RandomRequest(model, absl::StrCat("r", i), tokens, tokens / 3,
                                             domain * model.experts / domains, rng));
    traffic.requests.back().domain = absl::StrCat("d", domain);
  }
  return traffic;
}

// Every expert in a random slot, then random copies where a slot is free and the GPU lacks the
// expert; some slots stay empty.
inline Placement RandomPlacement(const ModelSpec& model, const Topology& topology, Rng* rng) {
  Placement placement(model.moe_layers, topology.slot_count());
  for (int l = 0; l < model.moe_layers; ++l) {
    absl::Span<int16_t> row = placement.row(LayerId(l));
    for (int e = 0; e < model.experts; ++e) {
      int s;
      do {
        s = static_cast<int>(rng->Below(topology.slot_count()));
      } while (row[s] != kEmptySlot);
      row[s] = static_cast<int16_t>(e);
    }
    for (int s = 0; s < topology.slot_count(); ++s) {
      const auto e = static_cast<int16_t>(rng->Below(model.experts));
      const GpuId gpu = topology.gpu_of(SlotId(s));
      absl::Span<int16_t> on_gpu =
          row.subspan(topology.first_slot(gpu).value(), topology.slots_on(gpu));
      if (row[s] == kEmptySlot && std::find(on_gpu.begin(), on_gpu.end(), e) == on_gpu.end()) {
        row[s] = e;
      }
    }
  }
  return placement;
}

// Random holders where the home holds no copy; ring order for about half of the cells.
inline RemoteChoice RandomRemoteChoice(const ModelSpec& model, const Topology& topology,
                                       const Placement& placement, Rng* rng) {
  const int nodes = topology.node_count();
  const ServeTable serve(model, topology, placement, {});
  RemoteChoice choice(model.moe_layers, nodes, model.experts);
  for (int l = 0; l < model.moe_layers; ++l) {
    for (int h = 0; h < nodes; ++h) {
      for (int e = 0; e < model.experts; ++e) {
        const int n = static_cast<int>(rng->Below(nodes));
        if (rng->Below(2) == 0 && (serve.Holders(l, e) >> n & 1)) {
          choice.row(LayerId(l), NodeId(h))[e] = static_cast<int16_t>(n);
        }
      }
    }
  }
  return choice;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_RANDOM_TRAFFIC_H_
