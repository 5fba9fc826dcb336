#include "core/solver/load_caps.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/model/placement.h"
#include "core/solver/demand.h"

namespace advisor {
namespace {

// Serving both phases, the share of linear's own load above the mean that joint may have: loads on
// requests not seen come out higher than on those searched over, and must not end above linear's.
constexpr double kShareOfLinearExcess = 0.4;
// Where linear is level already, a cap below this costs more saving than it guards; at 1.08 loads
// on the real traces end above linear's.
constexpr double kTightestCap = 1.07;

// Means over the layers, 0 without demand. The linear placement holds every expert once, so that
// homes do not matter.
LoadCaps LoadsOfLinear(const Problem& problem, const Demand& demand) {
  const Topology& topology = problem.topology;
  const Placement linear = LinearPlacement(problem.model, topology);
  LoadCaps mean;
  for (int l = 0; l < demand.layers; ++l) {
    std::vector<double> node(topology.node_count(), 0), gpu(topology.gpu_count(), 0);
    for (int s = 0; s < topology.slot_count(); ++s) {
      const int16_t e = linear.row(LayerId(l))[s];
      const double load = e == kEmptySlot ? 0 : demand.row(l, 0)[e];
      node[topology.node_of(SlotId(s)).value()] +=
          load / topology.gpus_on(topology.node_of(SlotId(s)));
      gpu[topology.gpu_of(SlotId(s)).value()] += load;
    }
    const double per_gpu = std::accumulate(gpu.begin(), gpu.end(), 0.0) / topology.gpu_count();
    if (per_gpu > 0) {
      mean.node += *std::max_element(node.begin(), node.end()) / per_gpu / demand.layers;
      mean.gpu += *std::max_element(gpu.begin(), gpu.end()) / per_gpu / demand.layers;
    }
  }
  return mean;
}

}  // namespace

LoadCaps LoadCapsOf(const Problem& problem, const SolveParams& params, ParallelFor& parallel) {
  LoadCaps caps{params.node_load_cap, params.gpu_load_cap};
  if (params.phase != PhaseFilter::kAll || params.objective != Objective::kInternodeBytes) {
    return caps;
  }
  const auto tighten = [](double& cap, double linear) {
    if (linear > 0) {
      cap = std::min(cap, std::max(kTightestCap, 1 + kShareOfLinearExcess * (linear - 1)));
    }
  };
  for (PhaseFilter phase : {PhaseFilter::kPrefill, PhaseFilter::kDecode}) {
    const LoadCaps linear = LoadsOfLinear(problem, PooledDemand(problem.traffic, phase, parallel));
    tighten(caps.node, linear.node);
    tighten(caps.gpu, linear.gpu);
  }
  return caps;
}

}  // namespace advisor
