#include "server/convert/admin.h"

#include "proto/convert/model.h"

namespace advisor::server {
namespace {

v1::ReporterStatus ReporterToProto(const ReporterStatus& reporter) {
  v1::ReporterStatus out;
  out.set_reporter_id(reporter.reporter_id);
  out.set_node(reporter.node);
  switch (reporter.liveness) {
    case ReporterLiveness::kLive:
      out.set_state(v1::ReporterStatus::LIVE);
      break;
    case ReporterLiveness::kStale:
      out.set_state(v1::ReporterStatus::STALE);
      break;
    case ReporterLiveness::kGone:
      out.set_state(v1::ReporterStatus::GONE);
      break;
  }
  out.set_frames(reporter.frames);
  out.set_tokens(reporter.tokens);
  out.set_steps(reporter.steps);
  out.set_lost_steps(reporter.lost_steps);
  out.set_rejected_blocks(reporter.rejected_blocks);
  out.set_duplicate_frames(reporter.duplicate_frames);
  if (reporter.applied != Position{}) {
    *out.mutable_applied() = advisor::ToProto(reporter.applied);
  }
  for (const LeftOutDomain& domain : reporter.left_out) {
    v1::LeftOutDomain* left_out = out.add_left_out();
    left_out->set_domain(domain.domain);
    left_out->set_distance(domain.distance);
  }
  return out;
}

v1::SubscriberStatus SubscriberToProto(const SubscriberStatus& subscriber) {
  v1::SubscriberStatus out;
  out.set_subscriber_id(subscriber.subscriber_id);
  out.set_role(subscriber.role == Role::kActor ? v1::ROLE_ACTOR : v1::ROLE_OBSERVER);
  out.set_node(subscriber.node);
  out.set_connected(subscriber.connected);
  if (subscriber.known != Position{}) {
    *out.mutable_known() = advisor::ToProto(subscriber.known);
  }
  if (subscriber.phase) {
    out.set_phase(static_cast<v1::Ack::Phase>(*subscriber.phase));
  }
  if (subscriber.nack != NackReason::kNone) {
    out.mutable_nack()->set_reason(static_cast<v1::Nack::Reason>(subscriber.nack));
    out.mutable_nack()->set_message(subscriber.nack_message);
  }
  return out;
}

v1::DomainStatus DomainToProto(const DomainStatus& domain) {
  v1::DomainStatus out;
  out.set_domain(domain.domain);
  out.set_window_tokens(domain.window_tokens);
  if (domain.prefill_decode_correlation) {
    out.set_prefill_decode_correlation(*domain.prefill_decode_correlation);
  }
  out.set_drift(domain.drift);
  out.set_internode_bytes(domain.internode_bytes);
  out.set_baseline_internode_bytes(domain.baseline_internode_bytes);
  return out;
}

}  // namespace

v1::DecisionReason ToProto(DecisionReason reason) {
  return static_cast<v1::DecisionReason>(reason);  // the numbers are the same by definition
}

v1::DeploymentStatus ToProto(const DeploymentStatus& status, absl::Time now) {
  v1::DeploymentStatus out;
  out.set_deployment(status.deployment.name);
  out.set_mode(advisor::ToProto(status.deployment.mode));
  out.set_frozen(status.frozen);
  if (status.position != Position{}) {
    *out.mutable_position() = advisor::ToProto(status.position);
  }
  if (status.grouping != Position{}) {
    *out.mutable_grouping() = advisor::ToProto(status.grouping);
  }
  if (status.in_force != Position{}) {
    *out.mutable_in_force() = advisor::ToProto(status.in_force);
  }
  out.set_coverage(status.coverage);
  for (const ReporterStatus& reporter : status.reporters) {
    *out.add_reporters() = ReporterToProto(reporter);
  }
  for (const SubscriberStatus& subscriber : status.subscribers) {
    *out.add_subscribers() = SubscriberToProto(subscriber);
  }
  for (const DomainStatus& domain : status.domains) {
    *out.add_domains() = DomainToProto(domain);
  }
  if (status.predicted_saving) {
    out.set_predicted_saving(*status.predicted_saving);
  }
  if (status.measured_saving) {
    out.set_measured_saving(*status.measured_saving);
  }
  if (!status.decisions.empty()) {
    const DecisionRecord& last = status.decisions.front();
    out.set_last_decision(ToProto(last.reason));
    out.set_last_decision_detail(last.detail);
    out.set_last_decision_age_s(absl::ToDoubleSeconds(now - last.at));
  }
  out.set_solving(status.solving);
  out.set_window_tokens(status.window_tokens);
  out.set_model(status.deployment.model.name);
  return out;
}

v1::PlanSummary ToProto(const PlanRecord& record) {
  v1::PlanSummary out;
  *out.mutable_position() = advisor::ToProto(record.plan->position);
  out.set_reason(ToProto(record.reason));
  out.set_detail(record.detail);
  out.set_moved_slots(record.plan->moves.size());
  uint64_t bytes = 0;
  for (const Move& move : record.plan->moves) {
    bytes += move.bytes;
  }
  out.set_moved_bytes(bytes);
  out.set_content_hash(record.content_hash);
  if (record.plan->predicted) {
    *out.mutable_predicted() = advisor::ToProto(record.plan->predicted->figures);
  }
  if (record.measured_saving) {
    out.set_measured_saving(*record.measured_saving);
  }
  out.set_quarantined(record.quarantined);
  out.set_published_unix_ms(record.published_unix_ms);
  return out;
}

v1::DecisionRecord ToProto(const DecisionRecord& decision, absl::Time now) {
  v1::DecisionRecord out;
  out.set_reason(ToProto(decision.reason));
  out.set_detail(decision.detail);
  out.set_age_s(absl::ToDoubleSeconds(now - decision.at));
  if (decision.position != Position{}) {
    *out.mutable_position() = advisor::ToProto(decision.position);
  }
  return out;
}

}  // namespace advisor::server
