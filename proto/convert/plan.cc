#include "proto/convert/plan.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "proto/convert/features.h"
#include "proto/convert/limits.h"
#include "proto/convert/little_endian.h"
#include "proto/convert/model.h"
#include "proto/convert/report.h"

namespace advisor {
namespace {

// One layer of a remote choice, [nodes (home), experts].
absl::Span<const int16_t> ChoiceRow(const Plan& plan, int layer) {
  const size_t size = size_t(plan.topology.node_count()) * plan.model.experts;
  return {plan.remote_choice.cells().data() + layer * size, size};
}

// Whether `plan` can be told as rows that differ from `base`.
bool DiffersOnlyInRows(const Plan& base, const Plan& plan) {
  return base.model == plan.model && base.topology == plan.topology &&
         base.remote_choice.empty() == plan.remote_choice.empty();
}

void FillFull(const Plan& plan, v1::FullPlacement* out) {
  out->set_placement(PackAs<int16_t>(plan.placement.cells()));
  out->set_remote_choice(PackAs<int8_t>(plan.remote_choice.cells()));
}

void FillDelta(const Plan& base, const Plan& plan, v1::DeltaPlacement* out) {
  *out->mutable_base() = ToProto(base.position);
  for (int l = 0; l < plan.model.moe_layers; ++l) {
    const auto row = plan.placement.row(LayerId(l));
    const bool placement = row != base.placement.row(LayerId(l));
    const bool choice = !plan.remote_choice.empty() && ChoiceRow(base, l) != ChoiceRow(plan, l);
    if (placement || choice) {
      v1::LayerDelta* layer = out->add_layers();
      layer->set_layer(l);
      if (placement) {
        layer->set_placement(PackAs<int16_t>(row));
      }
      if (choice) {
        layer->set_remote_choice(PackAs<int8_t>(ChoiceRow(plan, l)));
      }
    }
  }
}

absl::Status ApplyFull(const v1::FullPlacement& full, Plan* plan) {
  const int layers = plan->model.moe_layers;
  plan->placement = Placement(layers, plan->topology.slot_count());
  if (!UnpackAs<int16_t>(full.placement(), plan->placement.cells())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("placement has %d bytes, must be 2 x %d layers x %d slots",
                        full.placement().size(), layers, plan->topology.slot_count()));
  }
  if (full.remote_choice().empty()) {
    plan->remote_choice = RemoteChoice();
    return absl::OkStatus();
  }
  const int nodes = plan->topology.node_count();
  plan->remote_choice = RemoteChoice(layers, nodes, plan->model.experts);
  if (!UnpackAs<int8_t>(full.remote_choice(), plan->remote_choice.cells())) {
    return absl::InvalidArgumentError(
        absl::StrFormat("remote_choice has %d bytes, must be %d layers x %d nodes x %d experts",
                        full.remote_choice().size(), layers, nodes, plan->model.experts));
  }
  return absl::OkStatus();
}

absl::Status ApplyDelta(const v1::DeltaPlacement& delta, const Plan* base, Plan* plan) {
  const Position wanted = FromProto(delta.base());
  if (base == nullptr || base->position != wanted || base->model != plan->model ||
      base->topology != plan->topology) {
    return absl::FailedPreconditionError(
        absl::StrFormat("delta is against plan %d/%d, which is not held; subscribe again without a "
                        "position",
                        wanted.epoch, wanted.revision));
  }
  plan->placement = base->placement;
  plan->remote_choice = base->remote_choice;
  const size_t choice_size = size_t(plan->topology.node_count()) * plan->model.experts;
  for (const v1::LayerDelta& layer : delta.layers()) {
    if (layer.layer() >= static_cast<uint32_t>(plan->model.moe_layers)) {
      return absl::InvalidArgumentError(absl::StrFormat("delta names layer %d, must be below %d",
                                                        layer.layer(), plan->model.moe_layers));
    }
    const LayerId l(static_cast<int>(layer.layer()));
    const bool placement =
        layer.placement().empty() || UnpackAs<int16_t>(layer.placement(), plan->placement.row(l));
    const bool choice = layer.remote_choice().empty() ||
                        (!plan->remote_choice.empty() &&
                         UnpackAs<int8_t>(layer.remote_choice(),
                                          absl::MakeSpan(plan->remote_choice.cells())
                                              .subspan(l.value() * choice_size, choice_size)));
    if (!placement || !choice) {
      return absl::InvalidArgumentError(
          absl::StrFormat("delta of layer %d has a row of a wrong size", layer.layer()));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PlacementMode> ModeFromProto(v1::PlacementMode mode) {
  if (mode < v1::PLACEMENT_MODE_ADVISORY || mode > v1::PLACEMENT_MODE_IN_FORCE) {
    return absl::InvalidArgumentError(
        absl::StrFormat("placement mode is %d, which is not known", mode));
  }
  return static_cast<PlacementMode>(mode);
}

v1::Move MoveToProto(const Move& move) {
  v1::Move out;
  out.set_layer(move.layer);
  out.set_slot(move.slot);
  out.set_expert(move.expert);
  out.set_from_slot(move.from_slot);
  out.set_bytes(move.bytes);
  return out;
}

absl::StatusOr<Move> MoveFromProto(const v1::Move& move, const Plan& plan) {
  const int slots = plan.topology.slot_count();
  if (move.layer() >= static_cast<uint32_t>(plan.model.moe_layers) ||
      move.slot() >= static_cast<uint32_t>(slots) || move.expert() < -1 ||
      move.expert() >= plan.model.experts || move.from_slot() < -1 || move.from_slot() >= slots) {
    return absl::InvalidArgumentError(
        absl::StrFormat("move of expert %d to layer %d slot %d from slot %d is out of range",
                        move.expert(), move.layer(), move.slot(), move.from_slot()));
  }
  return Move{static_cast<int32_t>(move.layer()), static_cast<int32_t>(move.slot()), move.expert(),
              move.from_slot(), static_cast<int64_t>(move.bytes() & INT64_MAX)};
}

// Unpacks one float table of a grouping.
absl::Status Floats(const char* name, const std::string& bytes, size_t size,
                    std::vector<float>* out) {
  if (bytes.size() != size * sizeof(float)) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "grouping.%s has %d bytes, must have %d values of 4", name, bytes.size(), size));
  }
  out->resize(size);
  UnpackAs<float>(bytes, *out);
  return absl::OkStatus();
}

}  // namespace

v1::SubscribeHello ToProto(const SubscriberHello& hello) {
  v1::SubscribeHello out;
  out.set_protocol_min(kProtocol);
  out.set_protocol_max(kProtocol);
  out.set_deployment(hello.deployment);
  out.set_subscriber_id(hello.subscriber_id);
  out.set_incarnation(ToBytes(hello.incarnation));
  out.set_model_fingerprint(hello.model_fingerprint);
  out.set_role(hello.role == Role::kActor ? v1::ROLE_ACTOR : v1::ROLE_OBSERVER);
  out.set_ability(hello.ability == ApplyAbility::kRestartOnly ? v1::APPLY_ABILITY_RESTART_ONLY
                                                              : v1::APPLY_ABILITY_HOT_SWAP);
  out.set_node(hello.node);
  *out.mutable_features() = NamesOf(hello.features);
  *out.mutable_required_features() = NamesOf(hello.required);
  out.set_accept_delta(hello.features.delta_placement);
  if (hello.placement != Position{}) {
    *out.mutable_placement() = ToProto(hello.placement);
  }
  out.set_placement_hash(hello.placement_hash);
  if (hello.grouping != Position{}) {
    *out.mutable_grouping() = ToProto(hello.grouping);
  }
  out.set_grouping_hash(hello.grouping_hash);
  return out;
}

absl::StatusOr<SubscriberHello> FromProto(const v1::SubscribeHello& hello) {
  RETURN_IF_ERROR(ValidateProtocolRange(hello.protocol_min(), hello.protocol_max()));
  RETURN_IF_ERROR(ValidateId("hello.deployment", hello.deployment()));
  RETURN_IF_ERROR(ValidateId("hello.subscriber_id", hello.subscriber_id()));
  if (hello.node().size() > kMaxIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrFormat("hello.node has %d bytes, limit is %d", hello.node().size(), kMaxIdBytes));
  }
  SubscriberHello out;
  out.deployment = hello.deployment();
  out.subscriber_id = hello.subscriber_id();
  ASSIGN_OR_RETURN(out.incarnation, IncarnationFromBytes(hello.incarnation()));
  out.model_fingerprint = hello.model_fingerprint();
  out.role = hello.role() == v1::ROLE_ACTOR ? Role::kActor : Role::kObserver;
  out.ability = hello.ability() == v1::APPLY_ABILITY_RESTART_ONLY ? ApplyAbility::kRestartOnly
                                                                  : ApplyAbility::kHotSwap;
  out.node = hello.node();
  if (out.role == Role::kActor && out.node.empty()) {
    return absl::InvalidArgumentError("hello.node is empty, an actor must name its node");
  }
  out.features = FeaturesNamed(hello.features());
  out.features.delta_placement = out.features.delta_placement || hello.accept_delta();
  ASSIGN_OR_RETURN(out.required, RequiredFeatures(hello.required_features()));
  out.placement = FromProto(hello.placement());
  out.placement_hash = hello.placement_hash();
  out.grouping = FromProto(hello.grouping());
  out.grouping_hash = hello.grouping_hash();
  return out;
}

v1::Ack ToProto(const PlanAck& ack) {
  v1::Ack out;
  out.set_subject(static_cast<v1::Ack::Subject>(ack.subject));
  *out.mutable_position() = ToProto(ack.position);
  out.set_phase(static_cast<v1::Ack::Phase>(ack.phase));
  out.set_step(ack.step);
  if (ack.nack != NackReason::kNone) {
    out.mutable_nack()->set_reason(static_cast<v1::Nack::Reason>(ack.nack));
    out.mutable_nack()->set_message(ack.nack_message.substr(0, kMaxErrorBytes));
  }
  return out;
}

absl::StatusOr<PlanAck> FromProto(const v1::Ack& ack) {
  if (ack.subject() < v1::Ack::SUBJECT_PLACEMENT || ack.subject() > v1::Ack::SUBJECT_GROUPING) {
    return absl::InvalidArgumentError(
        absl::StrFormat("ack.subject is %d, which is not known", ack.subject()));
  }
  if (ack.phase() < v1::Ack::RECEIVED || ack.phase() > v1::Ack::DEFERRED) {
    return absl::InvalidArgumentError(
        absl::StrFormat("ack.phase is %d, which is not known", ack.phase()));
  }
  PlanAck out;
  out.subject = static_cast<AckSubject>(ack.subject());
  out.position = FromProto(ack.position());
  out.phase = static_cast<AckPhase>(ack.phase());
  out.step = ack.step();
  const bool refused = out.phase == AckPhase::kNack || out.phase == AckPhase::kRolledBack;
  if (refused) {
    const int reason = ack.nack().reason();
    if (reason < v1::Nack::REASON_DECODE || reason > v1::Nack::REASON_TIMEOUT) {
      return absl::InvalidArgumentError(
          absl::StrFormat("ack.nack.reason is %d, a NACK must say why", reason));
    }
    out.nack = static_cast<NackReason>(reason);
    out.nack_message = ack.nack().message().substr(0, kMaxErrorBytes);
  }
  return out;
}

v1::UpToDate ToProto(const UpToDate& message) {
  v1::UpToDate out;
  *out.mutable_placement() = ToProto(message.placement);
  *out.mutable_grouping() = ToProto(message.grouping);
  return out;
}

v1::Progress ToProto(const Progress& message) {
  v1::Progress out;
  *out.mutable_placement() = ToProto(message.placement);
  *out.mutable_grouping() = ToProto(message.grouping);
  return out;
}

v1::Decision ToProto(const RolloutDecision& decision) {
  v1::Decision out;
  *out.mutable_position() = ToProto(decision.position);
  out.set_kind(decision.commit ? v1::Decision::KIND_COMMIT : v1::Decision::KIND_ABORT);
  out.set_reason(decision.reason);
  return out;
}

absl::StatusOr<RolloutDecision> FromProto(const v1::Decision& decision) {
  if (decision.kind() != v1::Decision::KIND_COMMIT && decision.kind() != v1::Decision::KIND_ABORT) {
    return absl::InvalidArgumentError(
        absl::StrFormat("decision.kind is %d, which is not known", decision.kind()));
  }
  return RolloutDecision{FromProto(decision.position()),
                         decision.kind() == v1::Decision::KIND_COMMIT, decision.reason()};
}

v1::PlacementUpdate ToProto(const PlacementUpdate& update) {
  const Plan& plan = *update.plan;
  v1::PlacementUpdate out;
  *out.mutable_position() = ToProto(plan.position);
  out.set_content_hash(PlacementHash(plan));
  out.set_model_fingerprint(ModelFingerprint(plan.model));
  out.set_mode(static_cast<v1::PlacementMode>(update.mode));
  *out.mutable_topology() = ToProto(plan.topology);
  *out.mutable_model() = ToProto(plan.model);
  if (update.base != nullptr && DiffersOnlyInRows(*update.base, plan)) {
    FillDelta(*update.base, plan, out.mutable_delta());
  } else {
    FillFull(plan, out.mutable_full());
  }
  for (const Move& move : plan.moves) {
    *out.add_moves() = MoveToProto(move);
  }
  if (plan.predicted) {
    *out.mutable_predicted() = ToProto(plan.predicted->figures);
  }
  out.set_reason(plan.reason);
  out.set_seed(plan.seed);
  out.set_method(plan.method);
  return out;
}

absl::StatusOr<DecodedPlacement> FromProto(const v1::PlacementUpdate& update, const Plan* base) {
  DecodedPlacement out;
  Plan& plan = out.plan;
  plan.position = FromProto(update.position());
  ASSIGN_OR_RETURN(plan.model, FromProto(update.model()));
  ASSIGN_OR_RETURN(plan.topology, FromProto(update.topology()));
  ASSIGN_OR_RETURN(out.mode, ModeFromProto(update.mode()));
  switch (update.body_case()) {
    case v1::PlacementUpdate::kFull:
      RETURN_IF_ERROR(ApplyFull(update.full(), &plan));
      break;
    case v1::PlacementUpdate::kDelta:
      RETURN_IF_ERROR(ApplyDelta(update.delta(), base, &plan));
      break;
    default:
      return absl::InvalidArgumentError("placement update has no body");
  }
  out.content_hash = update.content_hash();
  if (const uint64_t hash = PlacementHash(plan); hash != out.content_hash) {
    return absl::DataLossError(
        absl::StrFormat("placement %d/%d has content hash %016x, the sender says %016x",
                        plan.position.epoch, plan.position.revision, hash, out.content_hash));
  }
  for (const v1::Move& move : update.moves()) {
    ASSIGN_OR_RETURN(Move converted, MoveFromProto(move, plan));
    plan.moves.push_back(converted);
  }
  if (update.has_predicted()) {
    plan.predicted.emplace().figures = FromProto(update.predicted());
  }
  plan.reason = update.reason();
  plan.seed = update.seed();
  plan.method = update.method();
  return out;
}

v1::GroupingUpdate ToProto(const GroupingUpdate& update) {
  const Grouping& g = update.plan->grouping;
  v1::GroupingUpdate out;
  *out.mutable_position() = ToProto(update.position);
  out.set_content_hash(GroupingHash(g));
  if (update.needs_placement != Position{}) {
    *out.mutable_needs_placement() = ToProto(update.needs_placement);
  }
  out.set_layers(g.layers);
  out.set_experts(g.experts);
  out.set_nodes(g.nodes);
  for (const std::string& domain : g.domains) {
    out.add_domains(domain);
  }
  out.set_bias(PackAs<float>(g.bias));
  out.set_domain_cost(PackAs<float>(g.domain_cost));
  out.set_affinity(PackAs<float>(g.affinity));
  out.set_node_share(PackAs<float>(g.node_share));
  out.set_decode_per_prompt_token(g.decode_per_prompt_token);
  out.set_mean_decode_tokens(g.mean_decode_tokens);
  out.set_load_slack(g.load_slack);
  out.set_load_slack_requests(g.load_slack_requests);
  out.set_load_price(g.load_price);
  out.set_microbatches(g.microbatches);
  return out;
}

absl::StatusOr<DecodedGrouping> FromProto(const v1::GroupingUpdate& update) {
  if (update.layers() > kMaxMoeLayers || update.experts() > kMaxExperts ||
      update.nodes() > kMaxNodes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "grouping is for %d layers x %d experts x %d nodes, limit is %d x %d x %d", update.layers(),
        update.experts(), update.nodes(), kMaxMoeLayers, kMaxExperts, kMaxNodes));
  }
  DecodedGrouping out;
  Grouping& g = out.grouping;
  out.position = FromProto(update.position());
  out.needs_placement = FromProto(update.needs_placement());
  g.revision = out.position.revision;
  g.layers = static_cast<int>(update.layers());
  g.experts = static_cast<int>(update.experts());
  g.nodes = static_cast<int>(update.nodes());
  g.domains.assign(update.domains().begin(), update.domains().end());
  const size_t nodes = update.nodes();
  RETURN_IF_ERROR(Floats("bias", update.bias(), nodes, &g.bias));
  RETURN_IF_ERROR(
      Floats("domain_cost", update.domain_cost(), g.domains.size() * nodes, &g.domain_cost));
  RETURN_IF_ERROR(
      Floats("affinity", update.affinity(), size_t(g.layers) * g.experts * nodes, &g.affinity));
  RETURN_IF_ERROR(Floats("node_share", update.node_share(), nodes, &g.node_share));
  g.decode_per_prompt_token = update.decode_per_prompt_token();
  g.mean_decode_tokens = update.mean_decode_tokens();
  g.load_slack = update.load_slack();
  g.load_slack_requests = update.load_slack_requests();
  g.load_price = update.load_price();
  g.microbatches =
      static_cast<int>(std::clamp<uint32_t>(update.microbatches(), 1, kMaxMicrobatches + 1));
  if (const uint64_t hash = GroupingHash(g); hash != update.content_hash()) {
    return absl::DataLossError(
        absl::StrFormat("grouping %d/%d has content hash %016x, the sender says %016x",
                        out.position.epoch, out.position.revision, hash, update.content_hash()));
  }
  return out;
}

v1::SubscribeResponse ToProto(const SubscriberMessage& message) {
  v1::SubscribeResponse out;
  std::visit(
      [&out](const auto& m) {
        using M = std::decay_t<decltype(m)>;
        if constexpr (std::is_same_v<M, UpToDate>) {
          *out.mutable_up_to_date() = ToProto(m);
        } else if constexpr (std::is_same_v<M, Progress>) {
          *out.mutable_progress() = ToProto(m);
        } else if constexpr (std::is_same_v<M, PlacementUpdate>) {
          *out.mutable_placement() = ToProto(m);
        } else if constexpr (std::is_same_v<M, GroupingUpdate>) {
          *out.mutable_grouping() = ToProto(m);
        } else {
          *out.mutable_decision() = ToProto(m);
        }
      },
      message);
  return out;
}

}  // namespace advisor
