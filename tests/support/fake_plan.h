#ifndef ADVISOR_TESTS_SUPPORT_FAKE_PLAN_H_
#define ADVISOR_TESTS_SUPPORT_FAKE_PLAN_H_

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "core/model/plan.h"

namespace advisor::testing {

// The linear placement with each node's slots rotated by `variant`: other content, the same traffic
// between nodes; `variant` slots of every GPU must be filled anew.
inline Plan LinearPlan(const ModelSpec& model, const Topology& topology, int variant) {
  Plan plan;
  plan.model = model;
  plan.topology = topology;
  plan.placement = LinearPlacement(model, topology);
  for (int l = 0; l < model.moe_layers; ++l) {
    for (int n = 0; n < topology.node_count(); ++n) {
      const int first = topology.first_slot(topology.first_gpu(NodeId(n))).value();
      const int slots = topology.slots_on(NodeId(n));
      auto row = plan.placement.row(LayerId(l));
      std::rotate(row.begin() + first, row.begin() + first + variant % slots,
                  row.begin() + first + slots);
    }
  }
  plan.method = "fake";
  return plan;
}

// Sends requests of domain d<i> (tests/support/random_traffic.h) to the node that the linear
// placement gives most of their experts.
inline Grouping ByDomain(const ModelSpec& model, const Topology& topology, int domains) {
  Grouping g;
  g.layers = model.moe_layers;
  g.experts = model.experts;
  g.nodes = topology.node_count();
  g.bias.assign(g.nodes, 0);
  g.affinity.assign(size_t(g.layers) * g.experts * g.nodes, 0);
  g.node_share.assign(g.nodes, 1.0f / static_cast<float>(g.nodes));
  g.load_slack = 1;
  for (int d = 0; d < domains; ++d) {
    g.domains.push_back(absl::StrCat("d", d));
    for (int n = 0; n < g.nodes; ++n) {
      g.domain_cost.push_back(n == d * g.nodes / domains ? 0.0f : 1.0f);
    }
  }
  return g;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_FAKE_PLAN_H_
