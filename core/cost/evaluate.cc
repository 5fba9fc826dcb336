#include "core/cost/evaluate.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/cost/latency.h"
#include "core/model/deployment.h"

namespace advisor {
namespace {

// Serving nodes of one token's experts under Dispatch::kCover. `holders`: node masks by expert of
// the layer.
void Cover(const uint16_t* ids, int top_k, const uint64_t* holders, int home, int nodes,
           int16_t* to) {
  int left = 0;
  for (int i = 0; i < top_k; ++i) {
    const bool at_home = holders[ids[i]] >> home & 1;
    to[i] = at_home ? static_cast<int16_t>(home) : int16_t{-1};
    left += !at_home;
  }
  while (left > 0) {
    int best = home, best_held = 0;
    for (int step = 1; step < nodes; ++step) {
      const int n = (home + step) % nodes;
      int held = 0;
      for (int i = 0; i < top_k; ++i) {
        held += to[i] < 0 && (holders[ids[i]] >> n & 1);
      }
      if (held > best_held) {
        best = n;
        best_held = held;
      }
    }
    for (int i = 0; i < top_k; ++i) {
      if (to[i] < 0 && (holders[ids[i]] >> best & 1)) {
        to[i] = static_cast<int16_t>(best);
      }
    }
    left -= best_held;
  }
}

// Plays one layer's traffic. What a token visits is gathered in bytes, one for each node: 1 in that
// of the node that serves an expert, so that "or" over a token's experts leaves 1 for each node
// that it is sent to.
class LayerPlay {
 public:
  LayerPlay(const Plan& plan, const ServeTable& serve, int layer, const EvaluateOptions& options)
      : plan_(plan),
        serve_(serve),
        layer_(layer),
        options_(options),
        nodes_(plan.topology.node_count()),
        experts_(plan.model.experts),
        words_((nodes_ + kNodesOfWord - 1) / kNodesOfWord),
        demand_(size_t(nodes_) * experts_),
        served_(size_t(nodes_) * experts_),
        messages_(size_t(nodes_) * nodes_),
        holders_(experts_) {
    for (int e = 0; e < experts_; ++e) {
      holders_[e] = serve_.Holders(layer_, e);
    }
    if (options.dispatch == Dispatch::kTable) {
      sent_to_.resize(size_t(nodes_) * experts_ * words_);
      for (int h = 0; h < nodes_; ++h) {
        const int16_t* row = serve_.ServeRow(layer_, h);
        for (int e = 0; e < experts_; ++e) {
          SentTo(h)[size_t(e) * words_ + row[e] / kNodesOfWord] = ByteOf(row[e]);
        }
      }
    }
  }

  void Add(const Request& request, int home) {
    if (request.counts_only()) {
      AddSums(request, home);
    } else if (options_.dispatch == Dispatch::kCover) {
      AddCovered(request, home);
    } else {
      AddTokens(request, home);
    }
  }

  LayerFigures Finish() {
    ServeDemand();
    for (int n = 0; n < nodes_; ++n) {
      for (int e = 0; e < experts_; ++e) {
        figures_.activations += served_[size_t(n) * experts_ + e];
      }
      messages_[size_t(n) * nodes_ + n] = 0;  // home to itself crosses no network
    }
    for (double m : messages_) {
      figures_.visits += m;
      figures_.largest_message = std::max(figures_.largest_message, m);
    }
    if (figures_.activations > 0) {
      SetLoads();
    }
    return figures_;
  }

 private:
  static constexpr int kNodesOfWord = 8;
  static constexpr int kTokensOfByte = 255;

  static uint64_t ByteOf(int node) { return uint64_t{1} << (node % kNodesOfWord * 8); }
  uint64_t* SentTo(int home) { return &sent_to_[size_t(home) * experts_ * words_]; }

  void AddSums(const Request& request, int home) {
    const uint32_t* counts = &request.counts[size_t(layer_) * experts_];
    double* demand = &demand_[size_t(home) * experts_];
    for (int e = 0; e < experts_; ++e) {
      demand[e] += request.weight * counts[e];
    }
  }

  void AddTokens(const Request& request, int home) {
    const int top_k = plan_.model.top_k, end = request.end_token(options_.phase);
    const uint64_t* sent_to = SentTo(home);
    double* demand = &demand_[size_t(home) * experts_];
    for (int from = request.first_token(options_.phase); from < end; from += kTokensOfByte) {
      uint64_t tokens[kMaxNodes / kNodesOfWord] = {};
      for (int t = from; t < std::min(from + kTokensOfByte, end); ++t) {
        request.FetchAhead(plan_.model, t, layer_);
        const uint16_t* ids = request.token(plan_.model, t, layer_);
        for (int w = 0; w < words_; ++w) {
          uint64_t sent = 0;
          for (int i = 0; i < top_k; ++i) {
            sent |= sent_to[size_t(ids[i]) * words_ + w];
          }
          tokens[w] += sent;
        }
        for (int i = 0; i < top_k; ++i) {
          demand[ids[i]] += request.weight;
        }
      }
      for (int n = 0; n < nodes_; ++n) {
        const uint64_t sent = tokens[n / kNodesOfWord] >> (n % kNodesOfWord * 8) & 0xff;
        messages_[size_t(home) * nodes_ + n] += request.weight * static_cast<double>(sent);
      }
    }
  }

  void AddCovered(const Request& request, int home) {
    const int top_k = plan_.model.top_k;
    double* messages = &messages_[size_t(home) * nodes_];
    int64_t remote = 0;
    int16_t to[kMaxTopK];
    for (int t = request.first_token(options_.phase); t < request.end_token(options_.phase); ++t) {
      const uint16_t* ids = request.token(plan_.model, t, layer_);
      Cover(ids, top_k, holders_.data(), home, nodes_, to);
      uint64_t visited = 0;
      for (int i = 0; i < top_k; ++i) {
        visited |= uint64_t{1} << to[i];
        remote += to[i] != home;
        served_[size_t(to[i]) * experts_ + ids[i]] += request.weight;
      }
      for (; visited != 0; visited &= visited - 1) {
        messages[__builtin_ctzll(visited)] += request.weight;
      }
    }
    figures_.remote_activations += request.weight * static_cast<double>(remote);
  }

  // What the table serves, by home, to what nodes serve.
  void ServeDemand() {
    for (int h = 0; h < nodes_; ++h) {
      const int16_t* serve = serve_.ServeRow(layer_, h);
      for (int e = 0; e < experts_; ++e) {
        const double activations = demand_[size_t(h) * experts_ + e];
        served_[size_t(serve[e]) * experts_ + e] += activations;
        figures_.remote_activations += serve[e] == h ? 0 : activations;
      }
    }
  }

  // Load on a node for one expert splits evenly over the expert's copies there.
  void SetLoads() {
    const Topology& topology = plan_.topology;
    absl::Span<const int16_t> row = plan_.placement.row(LayerId(layer_));
    std::vector<int> copies(size_t(nodes_) * experts_, 0);  // [nodes, experts]
    for (int s = 0; s < topology.slot_count(); ++s) {
      if (row[s] != kEmptySlot) {
        ++copies[size_t(topology.node_of(SlotId(s)).value()) * experts_ + row[s]];
      }
    }
    std::vector<double> gpu_load(topology.gpu_count(), 0), node_load(nodes_, 0);
    for (int s = 0; s < topology.slot_count(); ++s) {
      if (row[s] != kEmptySlot) {
        const int n = topology.node_of(SlotId(s)).value();
        const size_t cell = size_t(n) * experts_ + row[s];
        const double load = served_[cell] / copies[cell];
        gpu_load[topology.gpu_of(SlotId(s)).value()] += load;
        node_load[n] += load;
      }
    }
    const double mean = figures_.activations / topology.gpu_count();  // per GPU
    for (int n = 0; n < nodes_; ++n) {
      figures_.node_load =
          std::max(figures_.node_load, node_load[n] / topology.gpus_on(NodeId(n)) / mean);
    }
    for (double load : gpu_load) {
      figures_.gpu_load = std::max(figures_.gpu_load, load / mean);
    }
  }

  const Plan& plan_;
  const ServeTable& serve_;
  const int layer_;
  const EvaluateOptions options_;
  const int nodes_, experts_, words_;
  std::vector<uint64_t> sent_to_;  // [nodes (home), experts, words] a byte for each node; kTable
  std::vector<double> demand_;     // [nodes (home), experts] activations that the table serves
  std::vector<double> served_;     // [nodes, experts] activations
  std::vector<double> messages_;   // [home, node] tokens sent; the diagonal is what stays at home
  std::vector<uint64_t> holders_;  // [experts] node masks
  LayerFigures figures_;
};

std::vector<LayerFigures> PlayLayers(const Plan& plan, const Traffic& traffic,
                                     absl::Span<const NodeId> homes, const EvaluateOptions& options,
                                     ParallelFor& parallel) {
  const ServeTable serve(plan.model, plan.topology, plan.placement, plan.remote_choice);
  std::vector<LayerFigures> layers(plan.model.moe_layers);
  RunInBlocks(parallel, plan.model.moe_layers, kLayersAtOnce, [&](int first, int end) {
    std::vector<LayerPlay> plays;
    for (int l = first; l < end; ++l) {
      plays.emplace_back(plan, serve, l, options);
    }
    for (size_t i = 0; i < homes.size(); ++i) {
      for (LayerPlay& play : plays) {
        play.Add(traffic.requests[i], homes[i].value());
      }
    }
    for (int l = first; l < end; ++l) {
      layers[l] = plays[l - first].Finish();
    }
  });
  return layers;
}

// Tokens of the phase judged: how many, with weights, and by home.
struct HomeTokens {
  int64_t known = 0;  // with their experts, unweighted
  double known_weighted = 0;
  std::vector<double> on_node;  // with and without experts, weighted
};

HomeTokens CountHomeTokens(const Traffic& traffic, absl::Span<const NodeId> homes, int nodes,
                           PhaseFilter phase) {
  HomeTokens out;
  out.on_node.assign(nodes, 0);
  for (size_t i = 0; i < homes.size(); ++i) {
    const Request& r = traffic.requests[i];
    const int tokens = r.tokens_in(phase);
    out.on_node[homes[i].value()] += r.weight * tokens;
    if (!r.counts_only()) {
      out.known += tokens;
      out.known_weighted += r.weight * tokens;
    }
  }
  return out;
}

double MaxOverMeanPerGpu(const Topology& topology, const std::vector<double>& on_node) {
  double total = 0, largest = 0;
  for (int n = 0; n < topology.node_count(); ++n) {
    total += on_node[n];
    largest = std::max(largest, on_node[n] / topology.gpus_on(NodeId(n)));
  }
  return total > 0 ? largest / (total / topology.gpu_count()) : 0;
}

void AddLayer(double value, int layers, MeanWorst* out) {
  out->mean += value / layers;
  out->worst = std::max(out->worst, value);
}

}  // namespace

absl::Status CheckPlay(const Plan& plan, const Traffic& traffic, absl::Span<const NodeId> homes) {
  const ModelSpec& have = traffic.model;
  const ModelSpec& want = plan.model;
  if (have.moe_layers != want.moe_layers || have.experts != want.experts ||
      have.top_k != want.top_k) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "traffic has [layers, experts, top_k] = [%d, %d, %d], the plan is for [%d, %d, %d]; use a "
        "plan made for this model",
        have.moe_layers, have.experts, have.top_k, want.moe_layers, want.experts, want.top_k));
  }
  if (homes.size() != traffic.requests.size()) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%d homes for %d requests, must be one for each", homes.size(), traffic.requests.size()));
  }
  const int nodes = plan.topology.node_count();
  for (size_t i = 0; i < homes.size(); ++i) {
    if (homes[i].value() < 0 || homes[i].value() >= nodes) {
      return absl::InvalidArgumentError(
          absl::StrFormat("request \"%s\": home node %d, must be 0 .. %d", traffic.requests[i].id,
                          homes[i].value(), nodes - 1));
    }
  }
  return ValidatePlacement(plan.model, plan.topology, plan.placement, plan.remote_choice);
}

absl::StatusOr<std::vector<LayerFigures>> EvaluateLayers(const Plan& plan, const Traffic& traffic,
                                                         absl::Span<const NodeId> homes,
                                                         const EvaluateOptions& options,
                                                         ParallelFor* parallel) {
  RETURN_IF_ERROR(CheckPlay(plan, traffic, homes));
  InlineParallelFor one_by_one;
  return PlayLayers(plan, traffic, homes, options, parallel != nullptr ? *parallel : one_by_one);
}

absl::StatusOr<Figures> Evaluate(const Plan& plan, const Traffic& traffic,
                                 absl::Span<const NodeId> homes, const EvaluateOptions& options) {
  RETURN_IF_ERROR(CheckPlay(plan, traffic, homes));
  const int nodes = plan.topology.node_count();
  const int layers = plan.model.moe_layers;
  const HomeTokens tokens = CountHomeTokens(traffic, homes, nodes, options.phase);
  Figures out;
  out.tokens = tokens.known;
  out.home_token_max_over_mean = MaxOverMeanPerGpu(plan.topology, tokens.on_node);
  double visits = 0, messages = 0, remote = 0, activations = 0;
  InlineParallelFor one_by_one;
  const std::vector<LayerFigures> played = PlayLayers(plan, traffic, homes, options, one_by_one);
  for (const LayerFigures& layer : played) {
    visits += layer.visits;
    messages += layer.largest_message / layers;
    remote += layer.remote_activations;
    activations += layer.activations;
    AddLayer(layer.node_load, layers, &out.node_load);
    AddLayer(layer.gpu_load, layers, &out.gpu_load);
  }
  out.remote_activation_ratio = activations > 0 ? remote / activations : 0;
  if (tokens.known > 0) {
    const double per_token = visits / tokens.known_weighted;
    out.remote_visits_per_token_layer = per_token / layers;
    out.internode_bytes_per_token = per_token * plan.model.BytesPerVisit();
    out.max_pair_message = messages / (tokens.known_weighted / nodes);
  }
  if (options.time_model.has_value()) {
    if (const auto estimate = EstimateStep(played, tokens.known_weighted, plan.model, plan.topology,
                                           *options.time_model)) {
      out.modelled_moe_ms_per_step = estimate->moe_ms;
      out.modelled_gpu_utilisation = estimate->gpu_utilisation;
    }
  }
  return out;
}

absl::StatusOr<Figures> EvaluateWithBaseline(const Plan& plan, const Traffic& traffic,
                                             absl::Span<const NodeId> homes,
                                             const EvaluateOptions& options) {
  ASSIGN_OR_RETURN(Figures out, Evaluate(plan, traffic, homes, options));
  ASSIGN_OR_RETURN(const Figures base, EvaluateLinearBaseline(plan.model, plan.topology, traffic,
                                                              options.phase, options.time_model));
  out.modelled_baseline_moe_ms_per_step = base.modelled_moe_ms_per_step;
  out.modelled_baseline_gpu_utilisation = base.modelled_gpu_utilisation;
  // Bytes are visits times a constant of the model, which may be unknown (hidden_size 0): visits
  // give the same ratio.
  if (base.remote_visits_per_token_layer.value_or(0) > 0) {
    out.saving_ratio = 1 - *out.remote_visits_per_token_layer / *base.remote_visits_per_token_layer;
  }
  if (base.remote_activation_ratio > 0) {
    out.remote_activation_saving_ratio =
        1 - out.remote_activation_ratio / base.remote_activation_ratio;
  }
  return out;
}

absl::StatusOr<Figures> EvaluateLinearBaseline(const ModelSpec& model, const Topology& topology,
                                               const Traffic& traffic, PhaseFilter phase,
                                               const std::optional<TimeModel>& time_model) {
  RETURN_IF_ERROR(ValidateCapacity(model, topology));
  const std::vector<NodeId> homes = DealRoundRobin(traffic.requests.size(), topology.node_count());
  return Evaluate(BaselinePlan(model, topology), traffic, homes,
                  {phase, Dispatch::kTable, time_model});
}

Plan BaselinePlan(const ModelSpec& model, const Topology& topology) {
  Plan linear;
  linear.model = model;
  linear.topology = topology;
  linear.placement = LinearPlacement(model, topology);
  return linear;
}

std::vector<NodeId> DealRoundRobin(size_t requests, int nodes) {
  std::vector<NodeId> homes;
  homes.reserve(requests);
  for (size_t i = 0; i < requests; ++i) {
    homes.push_back(NodeId(static_cast<int>(i % nodes)));
  }
  return homes;
}

}  // namespace advisor
