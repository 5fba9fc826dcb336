#include "client/replay/ledger.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/cost/evaluate.h"

namespace advisor::client {
namespace {

Request Cut(const ModelSpec& model, const Request& request, int first, int end) {
  Request out;
  out.id = request.id;
  out.domain = request.domain;
  out.tokens = end - first;
  out.prompt_tokens = std::clamp(request.prompt_tokens - first, 0, end - first);
  const size_t token_ids = size_t(model.moe_layers) * model.top_k;
  out.experts.assign(request.experts.begin() + first * token_ids,
                     request.experts.begin() + end * token_ids);
  return out;
}

void SetSavings(const Figures& baseline, Figures* measured) {
  if (baseline.remote_visits_per_token_layer.value_or(0) > 0 &&
      measured->remote_visits_per_token_layer) {
    measured->saving_ratio =
        1 - *measured->remote_visits_per_token_layer / *baseline.remote_visits_per_token_layer;
  }
  if (baseline.remote_activation_ratio > 0) {
    measured->remote_activation_saving_ratio =
        1 - measured->remote_activation_ratio / baseline.remote_activation_ratio;
  }
}

}  // namespace

Ledger::Ledger(const Traffic& traffic, const Topology& topology, std::vector<int> order,
               size_t second_half)
    : traffic_(traffic), topology_(topology), order_(std::move(order)), second_half_(second_half) {
  auto linear = std::make_shared<Plan>();
  linear->model = traffic.model;
  linear->topology = topology;
  linear->placement = LinearPlacement(traffic.model, topology);
  plans_[Position{}] = std::move(linear);
}

void Ledger::AddPlan(const std::shared_ptr<const Plan>& plan) { plans_[plan->position] = plan; }

void Ledger::Ran(int played, int first, int end, NodeId home, Position placement) {
  const PartKey key{static_cast<size_t>(played) >= second_half_ ? 1 : 0, placement};
  std::vector<Piece>& pieces = parts_[key];
  tokens_ += end - first;
  // A live request adds a token a step; its piece is among the last few.
  const size_t look = std::min<size_t>(pieces.size(), 256);
  for (size_t i = 0; i < look; ++i) {
    Piece& piece = pieces[pieces.size() - 1 - i];
    if (piece.played == played && piece.home == home && piece.end == first) {
      piece.end = end;
      return;
    }
  }
  pieces.push_back({played, first, end, home});
}

absl::StatusOr<std::vector<PartFigures>> Ledger::Figure() const {
  std::vector<PartFigures> out;
  for (const auto& [key, pieces] : parts_) {
    ASSIGN_OR_RETURN(PartFigures part, FigurePart(key, pieces));
    out.push_back(std::move(part));
  }
  return out;
}

absl::StatusOr<PartFigures> Ledger::FigurePart(const PartKey& key,
                                               const std::vector<Piece>& pieces) const {
  const auto plan = plans_.find(key.placement);
  if (plan == plans_.end()) {
    return absl::InternalError(absl::StrFormat("tokens ran under plan %d.%d, which is not known",
                                               key.placement.epoch, key.placement.revision));
  }
  PartFigures out;
  out.key = key;
  out.plan = key.placement == Position{} ? nullptr : plan->second;
  Traffic traffic;
  traffic.model = traffic_.model;
  std::vector<NodeId> homes, dealt;
  std::set<int> requests;
  for (const Piece& piece : pieces) {
    const Request& whole = traffic_.requests[order_[piece.played]];
    traffic.requests.push_back(Cut(traffic_.model, whole, piece.first, piece.end));
    homes.push_back(piece.home);
    dealt.push_back(NodeId(piece.played % topology_.node_count()));
    requests.insert(piece.played);
    out.all_tokens += piece.end - piece.first;
    out.decode_tokens += traffic.requests.back().tokens - traffic.requests.back().prompt_tokens;
  }
  out.requests = static_cast<int64_t>(requests.size());
  const Plan& linear = *plans_.at(Position{});
  for (auto [phase, measured, baseline] :
       {std::tuple(PhaseFilter::kDecode, &out.decode, &out.baseline_decode),
        std::tuple(PhaseFilter::kAll, &out.all, &out.baseline_all)}) {
    const EvaluateOptions options{phase, Dispatch::kTable};
    ASSIGN_OR_RETURN(*measured, Evaluate(*plan->second, traffic, homes, options));
    ASSIGN_OR_RETURN(*baseline, Evaluate(linear, traffic, dealt, options));
    SetSavings(*baseline, measured);
  }
  return out;
}

}  // namespace advisor::client
