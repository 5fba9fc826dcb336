#include "server/observe/status_json.h"

#include <optional>

#include "absl/strings/str_format.h"
#include "core/model/topology.h"
#include "nlohmann/json.hpp"
#include "server/observe/names.h"

namespace advisor::server {
namespace {

using Json = nlohmann::ordered_json;

Json PositionJson(Position position) {
  return position == Position{} ? Json(nullptr)
                                : Json{{"epoch", position.epoch}, {"revision", position.revision}};
}

template <typename T>
Json OptionalJson(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

const char* LivenessName(ReporterLiveness liveness) {
  switch (liveness) {
    case ReporterLiveness::kLive:
      return "live";
    case ReporterLiveness::kStale:
      return "stale";
    case ReporterLiveness::kGone:
      return "gone";
  }
  return "unknown";
}

Json ReporterJson(const ReporterStatus& r) {
  Json left_out = Json::array();
  for (const LeftOutDomain& domain : r.left_out) {
    left_out.push_back({{"domain", domain.domain}, {"distance", domain.distance}});
  }
  return {{"reporter_id", r.reporter_id},
          {"node", r.node},
          {"state", LivenessName(r.liveness)},
          {"frames", r.frames},
          {"tokens", r.tokens},
          {"steps", r.steps},
          {"lost_steps", r.lost_steps},
          {"rejected_blocks", r.rejected_blocks},
          {"duplicate_frames", r.duplicate_frames},
          {"applied", PositionJson(r.applied)},
          {"left_out", std::move(left_out)}};
}

Json SubscriberJson(const SubscriberStatus& s) {
  return {{"subscriber_id", s.subscriber_id},
          {"role", s.role == Role::kActor ? "actor" : "observer"},
          {"node", s.node},
          {"connected", s.connected},
          {"known", PositionJson(s.known)},
          {"phase", s.phase ? Json(NameOf(*s.phase)) : Json(nullptr)},
          {"nack", s.nack == NackReason::kNone ? Json(nullptr) : Json(NameOf(s.nack))},
          {"nack_message", s.nack_message}};
}

Json DomainJson(const DomainStatus& d) {
  return {{"domain", d.domain},
          {"window_tokens", d.window_tokens},
          {"prefill_decode_correlation", OptionalJson(d.prefill_decode_correlation)},
          {"drift", d.drift},
          {"internode_bytes", d.internode_bytes},
          {"baseline_internode_bytes", d.baseline_internode_bytes}};
}

// Estimates by the deployment's time model; null where it has none.
Json ModelledJson(const Plan& plan) {
  if (!plan.predicted || !plan.predicted->figures.modelled_moe_ms_per_step) {
    return nullptr;
  }
  const Figures& f = plan.predicted->figures;
  return {{"moe_ms_per_step", OptionalJson(f.modelled_moe_ms_per_step)},
          {"gpu_utilisation", OptionalJson(f.modelled_gpu_utilisation)},
          {"baseline_moe_ms_per_step", OptionalJson(f.modelled_baseline_moe_ms_per_step)},
          {"baseline_gpu_utilisation", OptionalJson(f.modelled_baseline_gpu_utilisation)}};
}

Json PlanJson(const PlanRecord& record) {
  const Plan& plan = *record.plan;
  int64_t moved_bytes = 0;
  for (const Move& move : plan.moves) {
    moved_bytes += move.bytes;
  }
  return {{"position", PositionJson(plan.position)},
          {"reason", NameOf(record.reason)},
          {"detail", record.detail},
          {"moved_slots", plan.moves.size()},
          {"moved_bytes", moved_bytes},
          // Text: JSON numbers do not hold 64 bits everywhere.
          {"content_hash", absl::StrFormat("%016x", record.content_hash)},
          {"predicted_saving",
           plan.predicted ? OptionalJson(plan.predicted->figures.saving_ratio) : Json(nullptr)},
          {"modelled", ModelledJson(plan)},
          {"measured_saving", OptionalJson(record.measured_saving)},
          {"quarantined", record.quarantined},
          {"committed", record.committed},
          {"published_unix_ms", record.published_unix_ms}};
}

Json DeploymentJson(const DeploymentStatus& d, absl::Time now) {
  Json out = {{"deployment", d.deployment.name},
              {"model", d.deployment.model.name},
              {"nodes", d.deployment.topology.node_count()},
              {"gpus", d.deployment.topology.gpu_count()},
              {"mode", ToString(d.deployment.mode)},
              {"frozen", d.frozen},
              {"position", PositionJson(d.position)},
              {"grouping", PositionJson(d.grouping)},
              {"in_force", PositionJson(d.in_force)},
              {"coverage", d.coverage},
              {"predicted_saving", OptionalJson(d.predicted_saving)},
              {"measured_saving", OptionalJson(d.measured_saving)},
              {"solving", d.solving},
              {"window_tokens", d.window_tokens},
              {"window_bytes", d.window_bytes}};
  Json& reporters = out["reporters"] = Json::array();
  for (const ReporterStatus& reporter : d.reporters) {
    reporters.push_back(ReporterJson(reporter));
  }
  Json& subscribers = out["subscribers"] = Json::array();
  for (const SubscriberStatus& subscriber : d.subscribers) {
    subscribers.push_back(SubscriberJson(subscriber));
  }
  Json& domains = out["domains"] = Json::array();
  for (const DomainStatus& domain : d.domains) {
    domains.push_back(DomainJson(domain));
  }
  Json& decisions = out["decisions"] = Json::array();
  for (const DecisionRecord& decision : d.decisions) {
    decisions.push_back({{"reason", NameOf(decision.reason)},
                         {"detail", decision.detail},
                         {"age_s", absl::ToDoubleSeconds(now - decision.at)},
                         {"position", PositionJson(decision.position)}});
  }
  Json& plans = out["plans"] = Json::array();
  for (const PlanRecord& record : d.plans) {
    plans.push_back(PlanJson(record));
  }
  return out;
}

}  // namespace

std::string StatusJson(const EngineStatus& engine, const RuntimeStatus& runtime) {
  Json out = {{"version", runtime.version},
              {"epoch", engine.epoch},
              {"uptime_s", runtime.uptime_s},
              {"draining", runtime.draining},
              {"store_error", runtime.store_error}};
  Json& deployments = out["deployments"] = Json::array();
  for (const DeploymentStatus& deployment : engine.deployments) {
    deployments.push_back(DeploymentJson(deployment, runtime.now));
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace advisor::server
