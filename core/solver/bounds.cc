#include "core/solver/bounds.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <utility>
#include <vector>

#include "core/cost/latency.h"
#include "core/solver/demand.h"
#include "core/solver/local_optimum.h"

namespace advisor {
namespace {

struct LayerBounds {
  double remote_activations = 0;
  double visits = 0;
  double message = 0;  // the largest, in tokens
  double node_load = 1, gpu_load = 1;
};

// The least that the largest load per copy can be: one copy each, then spare slots one at a time to
// the expert with most load per copy, none having more than `most` copies. (Optimal: as long as the
// hottest expert can have another copy, any better allocation gives it one.)
double LeastLargestShare(absl::Span<const double> load, int slots, int most) {
  std::priority_queue<std::pair<double, int>> hottest;  // load per copy, copies
  for (double x : load) {
    hottest.emplace(x, 1);
  }
  for (int spare = slots - static_cast<int>(load.size()); spare > 0; --spare) {
    const auto [share, copies] = hottest.top();
    if (copies == most) {
      break;
    }
    hottest.pop();
    hottest.emplace(share * copies / (copies + 1), copies + 1);
  }
  return hottest.top().first;
}

void BoundLoads(const Topology& topology, absl::Span<const double> load, LayerBounds* out) {
  const double mean = std::accumulate(load.begin(), load.end(), 0.0) / topology.gpu_count();
  if (!(mean > 0)) {
    return;
  }
  int most_gpus = 0;
  for (const NodeSpec& node : topology.nodes()) {
    most_gpus = std::max(most_gpus, node.gpus);
  }
  const int slots = topology.slot_count();
  out->gpu_load = std::max(1.0, LeastLargestShare(load, slots, topology.gpu_count()) / mean);
  out->node_load =
      std::max(1.0, LeastLargestShare(load, slots, topology.node_count()) / most_gpus / mean);
}

// Tokens of one layer by home, each with its weight on one of its experts, [nodes, experts]: on the
// one that carries least of the home's tokens so far. So that the first tokens know what is in
// demand, every fourth is carried once before: half a percent less than two whole passes bound.
//
// Any choice of carriers gives a bound, so what is carried is compared in whole numbers: above the
// expert's id, in one word, so that the least of a token's experts comes with its name.
class TokenSpread {
 public:
  TokenSpread(const Problem& problem, PhaseFilter phase, absl::Span<const NodeId> homes)
      : problem_(problem), phase_(phase), homes_(homes) {
    double total = 0;
    for (size_t r = 0; r < homes.size(); ++r) {
      total += problem.traffic.requests[r].weight * TokensOf(r);
    }
    unit_ = kTotal / std::max(1.0, total);
  }

  // For the layers first .. end - 1.
  std::vector<std::vector<double>> Spread(int first, int end) const {
    std::vector<Layer> layers;
    for (int l = first; l < end; ++l) {
      layers.emplace_back(l, problem_);
    }
    for (const int every : {4, 1}) {
      for (size_t r = 0; r < homes_.size(); ++r) {
        for (Layer& layer : layers) {
          Pass(r, every, layer);
        }
      }
    }
    std::vector<std::vector<double>> on;
    for (Layer& layer : layers) {
      on.push_back(std::move(layer.on));
    }
    return on;
  }

 private:
  static constexpr int kIdBits = 16;
  static constexpr double kTotal = int64_t{1} << 40;  // what all tokens carry together

  struct Layer {
    Layer(int l, const Problem& problem)
        : index(l),
          carried(size_t(problem.topology.node_count()) * problem.model.experts),
          on(carried.size(), 0) {
      for (size_t i = 0; i < carried.size(); ++i) {
        carried[i] = static_cast<int64_t>(i % problem.model.experts);
      }
    }

    int index;
    std::vector<int64_t> carried;  // [nodes, experts]
    std::vector<double> on;        // [nodes, experts] of the pass over all tokens
  };

  int TokensOf(size_t request) const {
    const Request& r = problem_.traffic.requests[request];
    return r.counts_only() ? 0 : r.tokens_in(phase_);
  }

  // Over one in `every` tokens of a request.
  void Pass(size_t r, int every, Layer& layer) const {
    const ModelSpec& model = problem_.model;
    const Request& request = problem_.traffic.requests[r];
    const size_t row = size_t(homes_[r].value()) * model.experts;
    int64_t* carried = &layer.carried[row];
    const auto load = static_cast<int64_t>(request.weight * unit_) << kIdBits;
    const int first = request.first_token(phase_);
    for (int t = first; t < first + TokensOf(r); t += every) {
      request.FetchAhead(model, t, layer.index);
      const int64_t least = Least(carried, request.token(model, t, layer.index), model.top_k);
      const auto carrier = static_cast<size_t>(least & ((1 << kIdBits) - 1));
      carried[carrier] += load;
      layer.on[row + carrier] += every == 1 ? request.weight : 0;
    }
  }

  static int64_t Least(const int64_t* carried, const uint16_t* ids, int top_k) {
    int64_t least = carried[ids[0]];
    for (int i = 1; i < top_k; ++i) {
      least = std::min(least, carried[ids[i]]);
    }
    return least;
  }

  const Problem& problem_;
  const PhaseFilter phase_;
  absl::Span<const NodeId> homes_;
  double unit_ = 0;  // of what is carried, for a weight of 1
};

double Sum(absl::Span<const double> x) { return std::accumulate(x.begin(), x.end(), 0.0); }

class TrafficBounds {
 public:
  TrafficBounds(const Problem& problem, PhaseFilter phase, absl::Span<const NodeId> homes)
      : problem_(problem), phase_(phase), homes_(homes), spread_(problem, phase, homes) {
    for (int n = 0; n < problem.topology.node_count(); ++n) {
      capacity_.push_back(problem.topology.slots_on(NodeId(n)));
    }
    for (const Request& request : problem.traffic.requests) {
      has_sums_ |= request.counts_only();
    }
  }

  std::vector<std::vector<double>> Spread(int first, int end) const {
    return spread_.Spread(first, end);
  }

  // `spread`: of the layer.
  void Bound(const Demand& demand, int l, const std::vector<double>& spread,
             LayerBounds* out) const {
    const int experts = demand.experts;
    const absl::Span<const double> all(demand.row(l, 0), size_t(demand.nodes) * experts);
    out->remote_activations = Remote(all);
    const int carried =
        std::min(problem_.model.top_k, *std::max_element(capacity_.begin(), capacity_.end()));
    const double of_tokens = has_sums_ ? Remote(TokenDemand(l)) : out->remote_activations;
    out->visits = std::max(of_tokens / carried, Remote(spread));
    out->message = LargestMessage(out->visits, spread);
  }

 private:
  double Remote(absl::Span<const double> demand) const {
    return Sum(demand) - MostServedAtHome(demand, capacity_, problem_.model.experts);
  }

  // Neither below the mean message of all pairs, nor of the pairs of one home, which can hold no
  // more than its slots even were the others to hold nothing.
  double LargestMessage(double visits, const std::vector<double>& spread) const {
    const int nodes = static_cast<int>(capacity_.size()), experts = problem_.model.experts;
    if (nodes < 2) {
      return 0;
    }
    double most_of_a_home = 0;
    for (int h = 0; h < nodes; ++h) {
      std::vector<double> on(spread.begin() + size_t(h) * experts,
                             spread.begin() + size_t(h + 1) * experts);
      std::sort(on.begin(), on.end());
      const int left = std::max(0, experts - capacity_[h]);
      most_of_a_home = std::max(most_of_a_home, Sum(absl::MakeSpan(on).first(left)));
    }
    return std::max(visits / (nodes * (nodes - 1)), most_of_a_home / (nodes - 1));
  }

  // Demand of the tokens alone: sums cause no visits.
  std::vector<double> TokenDemand(int l) const {
    const int experts = problem_.model.experts;
    std::vector<double> demand(capacity_.size() * experts, 0);
    for (size_t r = 0; r < homes_.size(); ++r) {
      const Request& request = problem_.traffic.requests[r];
      if (!request.counts_only()) {
        AddDemand(problem_.model, request, phase_, l, &demand[homes_[r].value() * experts]);
      }
    }
    return demand;
  }

  const Problem& problem_;
  const PhaseFilter phase_;
  absl::Span<const NodeId> homes_;
  const TokenSpread spread_;
  std::vector<int> capacity_;  // [nodes] experts of a layer that fit
  bool has_sums_ = false;
};

// What the layers would play as, were every bound reached at once.
std::vector<LayerFigures> AtTheBounds(const std::vector<LayerBounds>& bounds) {
  std::vector<LayerFigures> out(bounds.size());
  for (size_t l = 0; l < bounds.size(); ++l) {
    out[l].largest_message = bounds[l].message;
    out[l].gpu_load = bounds[l].gpu_load;
  }
  return out;
}

std::vector<double> LoadOf(const Demand& demand, int l) {
  std::vector<double> load(demand.experts, 0);
  for (int h = 0; h < demand.nodes; ++h) {
    for (int e = 0; e < demand.experts; ++e) {
      load[e] += demand.row(l, h)[e];
    }
  }
  return load;
}

double WholeTokens(const Traffic& traffic, PhaseFilter phase) {
  double tokens = 0;
  for (const Request& r : traffic.requests) {
    tokens += r.counts_only() ? 0 : r.weight * r.tokens_in(phase);
  }
  return tokens;
}

}  // namespace

Bounds LowerBounds(const Problem& problem, const SolveParams& params,
                   absl::Span<const NodeId> homes, ParallelFor& parallel) {
  const int layers = problem.model.moe_layers;
  const bool traffic_too = params.objective != Objective::kBalance;
  const Demand demand =
      DemandByHome(problem.traffic, homes, problem.topology.node_count(), params.phase, parallel);
  const TrafficBounds traffic(problem, params.phase, homes);
  std::vector<LayerBounds> of_layer(layers);
  RunInBlocks(parallel, layers, kLayersAtOnce, [&](int first, int end) {
    const auto spread =
        traffic_too ? traffic.Spread(first, end) : std::vector<std::vector<double>>();
    for (int l = first; l < end; ++l) {
      BoundLoads(problem.topology, LoadOf(demand, l), &of_layer[l]);
      if (traffic_too) {
        traffic.Bound(demand, l, spread[l - first], &of_layer[l]);
      }
    }
  });

  Bounds bounds;
  const double activations = Sum(demand.cells);
  if (!(activations > 0)) {
    return bounds;
  }
  LayerBounds mean{0, 0, 0, 0, 0};
  for (const LayerBounds& b : of_layer) {
    mean.remote_activations += b.remote_activations / layers;
    mean.visits += b.visits / layers;
    mean.node_load += b.node_load / layers;
    mean.gpu_load += b.gpu_load / layers;
  }
  bounds.node_load_mean = mean.node_load;
  bounds.gpu_load_mean = mean.gpu_load;
  const double tokens = WholeTokens(problem.traffic, params.phase);
  if (traffic_too) {
    bounds.remote_activation_ratio =
        std::max(0.0, mean.remote_activations / (activations / layers));
  }
  if (traffic_too && tokens > 0) {
    bounds.remote_visits_per_token_layer = std::max(0.0, mean.visits / tokens);
    bounds.internode_bytes_per_token =
        *bounds.remote_visits_per_token_layer * layers * problem.model.BytesPerVisit();
  }
  if (traffic_too && problem.time_model.has_value()) {
    const auto estimate = EstimateStep(AtTheBounds(of_layer), tokens, problem.model,
                                       problem.topology, *problem.time_model);
    if (estimate.has_value()) {
      bounds.modelled_moe_ms_per_step = estimate->moe_ms;
    }
  }
  return bounds;
}

std::optional<double> GapRatio(const Problem& problem, const SolveParams& params,
                               const Bounds& bounds, absl::Span<const LayerFigures> layers) {
  double visits = 0, remote = 0, activations = 0, gpu_load = 0;
  for (const LayerFigures& l : layers) {
    visits += l.visits;
    remote += l.remote_activations;
    activations += l.activations;
    gpu_load += l.gpu_load;
  }
  const double count = static_cast<double>(layers.size());
  std::optional<double> bound;
  double value = 0;
  if (params.objective == Objective::kBalance) {
    bound = bounds.gpu_load_mean;
    value = gpu_load / count;
  } else if (params.objective == Objective::kLatency) {
    const auto estimate = EstimateStep(layers, WholeTokens(problem.traffic, params.phase),
                                       problem.model, problem.topology, *problem.time_model);
    bound = bounds.modelled_moe_ms_per_step;
    value = estimate.has_value() ? estimate->moe_ms : 0;
  } else {
    bound = bounds.remote_visits_per_token_layer;
    value = bound.has_value() ? visits / count / WholeTokens(problem.traffic, params.phase)
                              : remote / activations;
    bound = bound.has_value() ? bound : bounds.remote_activation_ratio;
  }
  if (!bound.has_value()) {
    return std::nullopt;
  }
  return value > 0 ? std::max(0.0, (value - *bound) / value) : 0;
}

}  // namespace advisor
