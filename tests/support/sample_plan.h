#ifndef ADVISOR_TESTS_SUPPORT_SAMPLE_PLAN_H_
#define ADVISOR_TESTS_SUPPORT_SAMPLE_PLAN_H_

#include <memory>
#include <string>

#include "core/model/deployment.h"
#include "core/model/plan.h"
#include "tests/support/random_traffic.h"

namespace advisor::testing {

// A small deployment: 3 layers, 8 experts on 3 nodes of one GPU with 4 slots.
inline Deployment SampleDeployment(const std::string& name = "chat") {
  Deployment deployment;
  deployment.name = name;
  deployment.model = SmallModel(3, 8, 2);
  deployment.topology = *Topology::Uniform(3, 1, 4);
  return deployment;
}

// A valid plan for it at {1, seed}, with every optional part but the remote choice.
inline Plan SamplePlan(uint64_t seed, const Deployment& deployment = SampleDeployment()) {
  Rng rng(seed);
  Plan plan;
  plan.deployment = deployment.name;
  plan.position = {1, seed};
  plan.model = deployment.model;
  plan.topology = deployment.topology;
  plan.placement = RandomPlacement(plan.model, plan.topology, &rng);
  plan.moves.push_back({1, 2, 3, -1, 1000});
  plan.predicted.emplace().figures.saving_ratio = 0.25;
  plan.reason = "drift";
  plan.seed = 9;
  Grouping& g = plan.grouping;
  g.revision = seed;
  g.layers = plan.model.moe_layers;
  g.experts = plan.model.experts;
  g.nodes = plan.topology.node_count();
  g.bias.assign(g.nodes, 1);
  g.domains = {"code", "law"};
  for (int i = 0; i < 2 * g.nodes; ++i) {
    g.domain_cost.push_back(static_cast<float>(rng.Uniform()));
  }
  for (int i = 0; i < g.layers * g.experts * g.nodes; ++i) {
    g.affinity.push_back(static_cast<float>(rng.Uniform()));
  }
  g.node_share.assign(g.nodes, 1.0f / static_cast<float>(g.nodes));
  g.decode_per_prompt_token = 1.5f;
  g.mean_decode_tokens = 80;
  g.load_price = 0.7f;
  return plan;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_SAMPLE_PLAN_H_
