#include "core/solver/eplb.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <tuple>
#include <utility>

#include "core/solver/demand.h"
#include "core/solver/methods.h"

namespace advisor {
namespace {

// The least key first, ties by lower index.
using LightestFirst = std::priority_queue<std::pair<double, int>,
                                          std::vector<std::pair<double, int>>, std::greater<>>;

// GPUs and experts that are balanced among themselves: a node with its groups, or everything.
class Unit {
 public:
  Unit(const Topology& topology, int first_gpu, int gpus, std::vector<int> experts,
       absl::Span<const double> load, absl::Span<int16_t> row)
      : topology_(topology),
        first_gpu_(first_gpu),
        gpus_(gpus),
        experts_(std::move(experts)),
        load_(load),
        row_(row),
        copies_(load.size(), 0),
        held_(size_t(gpus) * load.size(), 0),
        gpu_load_(gpus, 0) {}

  void Balance() {
    CountCopies();
    PackCopies();
    RepairDoubles();
  }

 private:
  double Share(int e) const { return load_[e] / copies_[e]; }
  int& Held(int gpu, int e) { return held_[size_t(gpu) * load_.size() + e]; }
  int Room(int gpu) const {
    return std::min<int>(topology_.slots_on(GpuId(first_gpu_ + gpu)),
                         static_cast<int>(experts_.size()));
  }
  int FirstSlot(int gpu) const { return topology_.first_slot(GpuId(first_gpu_ + gpu)).value(); }

  void CountCopies() {
    int spare = -static_cast<int>(experts_.size());
    for (int g = 0; g < gpus_; ++g) {
      spare += Room(g);
    }
    LightestFirst hottest;  // by negative load per copy
    for (int e : experts_) {
      copies_[e] = 1;
      if (gpus_ > 1) {
        hottest.emplace(-load_[e], e);
      }
    }
    for (; spare > 0 && !hottest.empty(); --spare) {
      const int e = hottest.top().second;
      hottest.pop();
      if (++copies_[e] < gpus_) {
        hottest.emplace(-Share(e), e);
      }
    }
  }

  void PackCopies() {
    std::vector<int> order = experts_;
    std::sort(order.begin(), order.end(), [this](int a, int b) {
      return std::make_pair(-Share(a), a) < std::make_pair(-Share(b), b);
    });
    LightestFirst lightest;
    for (int g = 0; g < gpus_; ++g) {
      lightest.emplace(0, g);
    }
    std::vector<int> used(gpus_, 0);
    for (int e : order) {
      for (int copy = 0; copy < copies_[e]; ++copy) {
        const int g = lightest.top().second;
        lightest.pop();
        row_[FirstSlot(g) + used[g]] = static_cast<int16_t>(e);
        ++Held(g, e);
        gpu_load_[g] += Share(e);
        if (++used[g] < Room(g)) {
          lightest.emplace(gpu_load_[g], g);
        }
      }
    }
  }

  void RepairDoubles() {
    for (int g = 0; g < gpus_; ++g) {
      for (int s = FirstSlot(g); s < FirstSlot(g) + Room(g); ++s) {
        if (row_[s] != kEmptySlot && Held(g, row_[s]) > 1 && !SwapDouble(g, s)) {
          ReplaceDouble(g, s);
        }
      }
    }
  }

  // Swaps the copy in slot `s` of GPU `g` with one of another GPU, so that neither ends with a
  // double.
  bool SwapDouble(int g, int s) {
    const int e = row_[s];
    double best = 0;
    int best_gpu = -1, best_slot = -1;
    for (int other = 0; other < gpus_; ++other) {
      if (Held(other, e) > 0) {
        continue;
      }
      for (int t = FirstSlot(other); t < FirstSlot(other) + Room(other); ++t) {
        const int f = row_[t];
        if (f == kEmptySlot || Held(g, f) > 0) {
          continue;
        }
        const double shift = Share(e) - Share(f);
        const double larger = std::max(gpu_load_[g] - shift, gpu_load_[other] + shift);
        if (best_gpu < 0 || larger < best) {
          best = larger;
          best_gpu = other;
          best_slot = t;
        }
      }
    }
    if (best_gpu < 0) {
      return false;
    }
    const int f = row_[best_slot];
    const double shift = Share(e) - Share(f);
    gpu_load_[g] -= shift;
    gpu_load_[best_gpu] += shift;
    --Held(g, e);
    ++Held(g, f);
    ++Held(best_gpu, e);
    --Held(best_gpu, f);
    std::swap(row_[s], row_[best_slot]);
    return true;
  }

  void ReplaceDouble(int g, int s) {
    const int e = row_[s];
    int best = kEmptySlot;
    for (int f : experts_) {
      if (Held(g, f) == 0 && (best == kEmptySlot || Share(f) > Share(best))) {
        best = f;
      }
    }
    --Held(g, e);
    --copies_[e];
    row_[s] = static_cast<int16_t>(best);
    if (best != kEmptySlot) {
      ++Held(g, best);
      ++copies_[best];
    }
    SumGpuLoads();
  }

  void SumGpuLoads() {
    std::fill(gpu_load_.begin(), gpu_load_.end(), 0);
    for (int g = 0; g < gpus_; ++g) {
      for (int e : experts_) {
        gpu_load_[g] += Held(g, e) * Share(e);
      }
    }
  }

  const Topology& topology_;
  const int first_gpu_, gpus_;
  const std::vector<int> experts_;
  absl::Span<const double> load_;  // [experts of the model]
  absl::Span<int16_t> row_;        // [slots of the topology]
  std::vector<int> copies_;        // [experts of the model]
  std::vector<int> held_;          // [gpus of the unit, experts of the model] copies
  std::vector<double> gpu_load_;
};

// Groups by falling load, each to the lightest node with room for another: the experts of every
// node.
std::vector<std::vector<int>> ExpertsByNode(const ModelSpec& model, int nodes,
                                            absl::Span<const double> load) {
  const int size = model.experts / model.expert_groups;
  std::vector<std::pair<double, int>> groups;  // by falling load
  for (int g = 0; g < model.expert_groups; ++g) {
    groups.emplace_back(
        -std::accumulate(load.begin() + g * size, load.begin() + (g + 1) * size, 0.0), g);
  }
  std::sort(groups.begin(), groups.end());
  LightestFirst lightest;
  for (int n = 0; n < nodes; ++n) {
    lightest.emplace(0, n);
  }
  std::vector<std::vector<int>> experts(nodes);
  for (const auto& [negative_load, g] : groups) {
    const auto [node_load, n] = lightest.top();
    lightest.pop();
    for (int e = g * size; e < (g + 1) * size; ++e) {
      experts[n].push_back(e);
    }
    if (static_cast<int>(experts[n].size()) < model.experts / nodes) {
      lightest.emplace(node_load - negative_load, n);
    }
  }
  return experts;
}

// EPLB counts on copies sharing the load of an expert evenly. Homes that hold a copy serve
// themselves, so the other homes go, by falling demand, to the holder with the least load per copy
// so far (ties: nearest in ring order).
void SpreadLoad(const ServeTable& serve, const Demand& demand,
                const std::vector<int>& copies_on_node, int l, RemoteChoice* choice) {
  const int nodes = demand.nodes;
  for (int e = 0; e < demand.experts; ++e) {
    const uint64_t holders = serve.Holders(l, e);
    std::vector<double> load(nodes, 0);
    std::vector<std::pair<double, int>> others;  // homes without a copy, by falling demand
    for (int h = 0; h < nodes; ++h) {
      if (holders >> h & 1) {
        load[h] = demand.row(l, h)[e];
      } else {
        others.emplace_back(-demand.row(l, h)[e], h);
      }
    }
    std::sort(others.begin(), others.end());
    for (const auto& [negative_demand, h] : others) {
      int best = -1;
      double best_load = 0;
      for (int step = 1; step < nodes; ++step) {
        const int n = (h + step) % nodes;
        const double per_copy = load[n] / copies_on_node[size_t(n) * demand.experts + e];
        if ((holders >> n & 1) && (best < 0 || per_copy < best_load)) {
          best = n;
          best_load = per_copy;
        }
      }
      choice->row(LayerId(l), NodeId(h))[e] = static_cast<int16_t>(best);
      load[best] -= negative_demand;
    }
  }
}

std::vector<int> CopiesOnNode(const Topology& topology, int experts,
                              absl::Span<const int16_t> row) {
  std::vector<int> copies(size_t(topology.node_count()) * experts, 0);
  for (int s = 0; s < topology.slot_count(); ++s) {
    if (row[s] != kEmptySlot) {
      ++copies[size_t(topology.node_of(SlotId(s)).value()) * experts + row[s]];
    }
  }
  return copies;
}

}  // namespace

bool EplbIsHierarchical(const ModelSpec& model, const Topology& topology) {
  const NodeSpec& first = topology.nodes().front();
  return model.expert_groups > 0 && model.expert_groups % topology.node_count() == 0 &&
         std::all_of(topology.nodes().begin(), topology.nodes().end(), [&](const NodeSpec& n) {
           return n.gpus == first.gpus && n.slots_per_gpu == first.slots_per_gpu;
         });
}

std::vector<int16_t> EplbRow(const ModelSpec& model, const Topology& topology,
                             absl::Span<const double> load) {
  std::vector<int16_t> row(topology.slot_count(), kEmptySlot);
  if (EplbIsHierarchical(model, topology)) {
    const std::vector<std::vector<int>> experts = ExpertsByNode(model, topology.node_count(), load);
    for (int n = 0; n < topology.node_count(); ++n) {
      Unit(topology, topology.first_gpu(NodeId(n)).value(), topology.gpus_on(NodeId(n)), experts[n],
           load, absl::MakeSpan(row))
          .Balance();
    }
  } else {
    std::vector<int> experts(model.experts);
    std::iota(experts.begin(), experts.end(), 0);
    Unit(topology, 0, topology.gpu_count(), std::move(experts), load, absl::MakeSpan(row))
        .Balance();
  }
  return row;
}

absl::StatusOr<SolveResult> SolveEplb(const Problem& problem, const SolveParams& params,
                                      ParallelFor& parallel) {
  const int nodes = problem.topology.node_count();
  const int experts = problem.model.experts;
  SolveResult result;
  result.homes = DealRoundRobin(problem.traffic.requests.size(), nodes);
  result.placement = Placement(problem.model.moe_layers, problem.topology.slot_count());
  const Demand demand = DemandByHome(problem.traffic, result.homes, nodes, params.phase, parallel);
  parallel.Run(problem.model.moe_layers, [&](int l) {
    std::vector<double> load(experts, 0);
    for (int h = 0; h < nodes; ++h) {
      for (int e = 0; e < experts; ++e) {
        load[e] += demand.row(l, h)[e];
      }
    }
    const std::vector<int16_t> row = EplbRow(problem.model, problem.topology, load);
    std::copy(row.begin(), row.end(), result.placement.row(LayerId(l)).begin());
  });
  if (problem.topology.slot_count() > experts) {
    result.remote_choice = RemoteChoice(problem.model.moe_layers, nodes, experts);
    const ServeTable serve(problem.model, problem.topology, result.placement, {});
    parallel.Run(problem.model.moe_layers, [&](int l) {
      SpreadLoad(serve, demand,
                 CopiesOnNode(problem.topology, experts, result.placement.row(LayerId(l))), l,
                 &result.remote_choice);
    });
  }
  return result;
}

}  // namespace advisor
