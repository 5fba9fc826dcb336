#include "core/solver/demand.h"

namespace advisor {

Demand DemandByHome(const Traffic& traffic, absl::Span<const NodeId> homes, int nodes,
                    PhaseFilter phase, ParallelFor& parallel) {
  const ModelSpec& model = traffic.model;
  Demand demand;
  demand.layers = model.moe_layers;
  demand.nodes = nodes;
  demand.experts = model.experts;
  demand.cells.assign(size_t(model.moe_layers) * nodes * model.experts, 0);
  RunInBlocks(parallel, model.moe_layers, kLayersAtOnce, [&](int first, int end) {
    for (size_t i = 0; i < homes.size(); ++i) {
      for (int l = first; l < end; ++l) {
        AddDemand(model, traffic.requests[i], phase, l, demand.row(l, homes[i].value()));
      }
    }
  });
  return demand;
}

Demand PooledDemand(const Traffic& traffic, PhaseFilter phase, ParallelFor& parallel) {
  const std::vector<NodeId> one_home(traffic.requests.size(), NodeId(0));
  return DemandByHome(traffic, one_home, 1, phase, parallel);
}

}  // namespace advisor
