#include "core/grouping/assigner.h"

#include <algorithm>

namespace advisor {
namespace {

// Adds sum over counts of count * affinity[layer, expert, n] to sums[n] for n in first .. first +
// kWidth - 1. The width is fixed so that the sums stay in vector registers: a prompt has tens of
// thousands of counts.
template <int kWidth>
void AddAffinity(const Grouping& grouping, const std::vector<PromptCount>& counts, int first,
                 float* sums) {
  const int layers = grouping.layers, experts = grouping.experts, nodes = grouping.nodes;
  const float* affinity = grouping.affinity.data() + first;
  float sum[kWidth] = {};
  for (const PromptCount& c : counts) {
    if (c.layer >= layers || c.expert >= experts) {
      continue;
    }
    const float* by_node = affinity + (size_t(c.layer) * experts + c.expert) * nodes;
    const auto count = static_cast<float>(c.count);
    for (int n = 0; n < kWidth; ++n) {
      sum[n] += count * by_node[n];
    }
  }
  for (int n = 0; n < kWidth; ++n) {
    sums[first + n] += sum[n];
  }
}

std::vector<double> Costs(const Grouping& grouping, const Prompt& prompt) {
  const int nodes = grouping.nodes;
  std::vector<double> costs(grouping.bias.begin(), grouping.bias.end());
  const auto domain =
      std::lower_bound(grouping.domains.begin(), grouping.domains.end(), prompt.domain);
  if (domain != grouping.domains.end() && *domain == prompt.domain) {
    const float* cost = &grouping.domain_cost[size_t(domain - grouping.domains.begin()) * nodes];
    for (int n = 0; n < nodes; ++n) {
      costs[n] += cost[n];
    }
  }
  if (prompt.tokens <= 0 || prompt.counts.empty()) {
    return costs;
  }
  std::vector<float> sums(nodes, 0);
  int n = 0;
  for (; n + 8 <= nodes; n += 8) {
    AddAffinity<8>(grouping, prompt.counts, n, sums.data());
  }
  for (; n + 4 <= nodes; n += 4) {
    AddAffinity<4>(grouping, prompt.counts, n, sums.data());
  }
  for (; n < nodes; ++n) {
    AddAffinity<1>(grouping, prompt.counts, n, sums.data());
  }
  for (n = 0; n < nodes; ++n) {
    costs[n] += static_cast<double>(sums[n]) / prompt.tokens;
  }
  return costs;
}

}  // namespace

Prompt PromptOf(const ModelSpec& model, const Request& request) {
  Prompt prompt;
  prompt.domain = request.domain;
  prompt.tokens = request.counts_only() ? request.tokens : request.prompt_tokens;
  std::vector<uint32_t> counts(model.experts);
  for (int l = 0; l < model.moe_layers; ++l) {
    if (request.counts_only()) {
      std::copy_n(request.counts.begin() + size_t(l) * model.experts, model.experts,
                  counts.begin());
    } else {
      std::fill(counts.begin(), counts.end(), 0);
      for (int t = 0; t < request.prompt_tokens; ++t) {
        const uint16_t* ids = request.token(model, t, l);
        for (int i = 0; i < model.top_k; ++i) {
          ++counts[ids[i]];
        }
      }
    }
    for (int e = 0; e < model.experts; ++e) {
      if (counts[e] > 0) {
        prompt.counts.push_back({static_cast<uint16_t>(l), static_cast<uint16_t>(e), counts[e]});
      }
    }
  }
  return prompt;
}

Assigner::Assigner(const Grouping& grouping, int nodes)
    : grouping_(grouping), nodes_(grouping.empty() ? nodes : grouping.nodes), load_(nodes_, 0) {}

std::vector<Choice> Assigner::Rank(const Prompt& prompt) const {
  std::vector<Choice> ranked(nodes_);
  if (grouping_.empty()) {
    for (int n = 0; n < nodes_; ++n) {
      ranked[n].node = NodeId(static_cast<int>((assigned_ + n) % nodes_));
    }
    return ranked;
  }
  const std::vector<double> costs = Costs(grouping_, prompt);
  for (int n = 0; n < nodes_; ++n) {
    ranked[n].node = NodeId(n);
    ranked[n].cost = costs[n];
  }
  std::sort(ranked.begin(), ranked.end(), [](const Choice& a, const Choice& b) {
    return a.cost != b.cost ? a.cost < b.cost : a.node < b.node;
  });
  return ranked;
}

Choice Assigner::Choose(const std::vector<Choice>& ranked, double weight) const {
  const double spare = grouping_.load_slack_requests * squares_ever_ / booked_ever_;
  // Compared without a division, so that a node without a share comes last.
  const auto lighter = [&](const Choice& a, const Choice& b) {
    const double load_a = load_[a.node.value()] * grouping_.node_share[b.node.value()];
    const double load_b = load_[b.node.value()] * grouping_.node_share[a.node.value()];
    return load_a != load_b ? load_a < load_b : a.node < b.node;
  };
  const Choice* best = nullptr;
  double best_price = 0;
  for (const Choice& c : ranked) {
    const double fair = grouping_.node_share[c.node.value()] * total_;
    const double allowance = grouping_.load_slack * fair + spare;
    const double ahead = load_[c.node.value()] - fair;
    if (ahead > allowance) {
      continue;
    }
    const double pressure = allowance > 0 ? (ahead + weight / 2) / allowance : 0;
    const double price = c.cost + grouping_.load_price * pressure;
    if (best == nullptr || price < best_price || (price == best_price && lighter(c, *best))) {
      best = &c;
      best_price = price;
    }
  }
  return best != nullptr ? *best : *std::min_element(ranked.begin(), ranked.end(), lighter);
}

Choice Assigner::Assign(const Prompt& prompt, const std::vector<Choice>& ranked) {
  const double weight = ExpectedDecodeTokens(prompt);
  ++assigned_;
  total_ += weight;
  booked_ever_ += weight;
  squares_ever_ += weight * weight;
  Choice chosen = ranked.front();
  if (!grouping_.empty()) {
    chosen = Choose(ranked, weight);
    chosen.spilled = chosen.node != ranked.front().node;
  }
  load_[chosen.node.value()] += weight;
  return chosen;
}

void Assigner::Release(NodeId node, double decode_tokens) {
  const double taken = std::min(decode_tokens, load_[node.value()]);
  load_[node.value()] -= taken;
  total_ -= taken;
}

void Assigner::TakeLoadOf(const Assigner& previous) {
  assigned_ = previous.assigned_;
  total_ = previous.total_;
  booked_ever_ = previous.booked_ever_;
  squares_ever_ = previous.squares_ever_;
  load_ = previous.load_;
}

double Assigner::LoadOverShare(NodeId node) const {
  const double share = grouping_.empty() ? 1.0 / nodes_ : grouping_.node_share[node.value()];
  const double fair = share * total_;
  return fair > 0 ? load_[node.value()] / fair : 0;
}

double Assigner::ExpectedDecodeTokens(const Prompt& prompt) const {
  const double expected = prompt.tokens > 0
                              ? double{grouping_.decode_per_prompt_token} * prompt.tokens
                              : double{grouping_.mean_decode_tokens};
  return std::max(expected, 1.0);
}

std::vector<NodeId> AssignInOrder(const Plan& plan, const Traffic& traffic) {
  Assigner assigner(plan.grouping, plan.topology.node_count());
  std::vector<NodeId> homes;
  homes.reserve(traffic.requests.size());
  for (const Request& request : traffic.requests) {
    homes.push_back(assigner.Assign(PromptOf(plan.model, request)).node);
  }
  return homes;
}

void SetLoadModel(const Topology& topology, const Traffic& traffic, PhaseFilter phase,
                  Grouping* grouping) {
  grouping->node_share.clear();
  for (int n = 0; n < topology.node_count(); ++n) {
    grouping->node_share.push_back(static_cast<float>(topology.gpus_on(NodeId(n))) /
                                   static_cast<float>(topology.gpu_count()));
  }
  double prompt = 0, phase_tokens = 0, requests = 0;
  for (const Request& r : traffic.requests) {
    prompt += r.weight * (r.counts_only() ? r.tokens : r.prompt_tokens);
    phase_tokens += r.weight * r.tokens_in(phase);
    requests += r.weight;
  }
  grouping->decode_per_prompt_token = prompt > 0 ? static_cast<float>(phase_tokens / prompt) : 1.0f;
  grouping->mean_decode_tokens = requests > 0 ? static_cast<float>(phase_tokens / requests) : 0.0f;
}

}  // namespace advisor
