#include "server/convert/stored_plan.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "advisor/v1/store.pb.h"
#include "core/base/status_macros.h"
#include "proto/convert/model.h"
#include "proto/convert/plan.h"

namespace advisor::server {
namespace {

v1::Bounds BoundsToProto(const Bounds& bounds) {
  v1::Bounds out;
  if (bounds.remote_visits_per_token_layer) {
    out.set_remote_visits_per_token_layer(*bounds.remote_visits_per_token_layer);
  }
  if (bounds.internode_bytes_per_token) {
    out.set_internode_bytes_per_token(*bounds.internode_bytes_per_token);
  }
  if (bounds.remote_activation_ratio) {
    out.set_remote_activation_ratio(*bounds.remote_activation_ratio);
  }
  if (bounds.node_load_mean) {
    out.set_node_load_mean(*bounds.node_load_mean);
  }
  if (bounds.gpu_load_mean) {
    out.set_gpu_load_mean(*bounds.gpu_load_mean);
  }
  if (bounds.modelled_moe_ms_per_step) {
    out.set_modelled_moe_ms_per_step(*bounds.modelled_moe_ms_per_step);
  }
  if (bounds.gap_ratio) {
    out.set_gap_ratio(*bounds.gap_ratio);
  }
  return out;
}

Bounds BoundsFromProto(const v1::Bounds& bounds) {
  Bounds out;
  if (bounds.has_remote_visits_per_token_layer()) {
    out.remote_visits_per_token_layer = bounds.remote_visits_per_token_layer();
  }
  if (bounds.has_internode_bytes_per_token()) {
    out.internode_bytes_per_token = bounds.internode_bytes_per_token();
  }
  if (bounds.has_remote_activation_ratio()) {
    out.remote_activation_ratio = bounds.remote_activation_ratio();
  }
  if (bounds.has_node_load_mean()) {
    out.node_load_mean = bounds.node_load_mean();
  }
  if (bounds.has_gpu_load_mean()) {
    out.gpu_load_mean = bounds.gpu_load_mean();
  }
  if (bounds.has_modelled_moe_ms_per_step()) {
    out.modelled_moe_ms_per_step = bounds.modelled_moe_ms_per_step();
  }
  if (bounds.has_gap_ratio()) {
    out.gap_ratio = bounds.gap_ratio();
  }
  return out;
}

void FillPredicted(const Predicted& predicted, v1::StoredPlan* out) {
  out->set_has_predicted(true);
  if (predicted.prefill) {
    *out->mutable_predicted_prefill() = advisor::ToProto(*predicted.prefill);
  }
  if (predicted.decode) {
    *out->mutable_predicted_decode() = advisor::ToProto(*predicted.decode);
  }
  if (predicted.fit) {
    *out->mutable_fit() = advisor::ToProto(*predicted.fit);
  }
  for (const int layer : predicted.layers_over_cap) {
    out->add_layers_over_cap(layer);
  }
}

std::optional<Predicted> PredictedFrom(const v1::StoredPlan& stored) {
  std::optional<Predicted> out;
  if (!stored.has_predicted()) {
    return out;
  }
  out.emplace();
  out->figures = FromProto(stored.placement().predicted());
  if (stored.has_predicted_prefill()) {
    out->prefill = FromProto(stored.predicted_prefill());
  }
  if (stored.has_predicted_decode()) {
    out->decode = FromProto(stored.predicted_decode());
  }
  if (stored.has_fit()) {
    out->fit = FromProto(stored.fit());
  }
  out->layers_over_cap.assign(stored.layers_over_cap().begin(), stored.layers_over_cap().end());
  return out;
}

// A view of `plan` as the messages share it; it must outlive the message.
std::shared_ptr<const Plan> Borrowed(const Plan& plan) {
  return std::shared_ptr<const Plan>(std::shared_ptr<void>(), &plan);
}

}  // namespace

std::string ToBytes(const Plan& plan) {
  v1::StoredPlan stored;
  *stored.mutable_placement() =
      advisor::ToProto(PlacementUpdate{Borrowed(plan), nullptr, PlacementMode::kAdvisory});
  if (!plan.grouping.empty()) {
    const Position position{plan.position.epoch, plan.grouping.revision};
    *stored.mutable_grouping() = advisor::ToProto(GroupingUpdate{Borrowed(plan), position, {}});
  }
  if (plan.predicted) {
    FillPredicted(*plan.predicted, &stored);
  }
  *stored.mutable_bounds() = BoundsToProto(plan.bounds);
  stored.set_time_limit_struck(plan.time_limit_struck);
  return stored.SerializeAsString();
}

absl::StatusOr<Plan> PlanFromBytes(const std::string& bytes, const std::string& deployment) {
  v1::StoredPlan stored;
  if (!stored.ParseFromString(bytes)) {
    return absl::InvalidArgumentError(absl::StrFormat("%d bytes are no stored plan", bytes.size()));
  }
  ASSIGN_OR_RETURN(DecodedPlacement placement, FromProto(stored.placement(), nullptr));
  Plan& plan = placement.plan;
  plan.deployment = deployment;
  if (stored.has_grouping()) {
    ASSIGN_OR_RETURN(DecodedGrouping grouping, FromProto(stored.grouping()));
    plan.grouping = std::move(grouping.grouping);
  }
  plan.predicted = PredictedFrom(stored);
  plan.bounds = BoundsFromProto(stored.bounds());
  plan.time_limit_struck = stored.time_limit_struck();
  RETURN_IF_ERROR(Validate(plan));
  return std::move(plan);
}

}  // namespace advisor::server
