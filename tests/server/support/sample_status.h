#ifndef ADVISOR_TESTS_SERVER_SUPPORT_SAMPLE_STATUS_H_
#define ADVISOR_TESTS_SERVER_SUPPORT_SAMPLE_STATUS_H_

#include <memory>

#include "core/engine/status.h"
#include "tests/support/sample_plan.h"

namespace advisor::testing {

// An engine's state with one of everything that can be shown.
inline EngineStatus SampleStatus() {
  DeploymentStatus d;
  d.deployment = SampleDeployment();
  d.position = {2, 7};
  d.grouping = {2, 9};
  d.in_force = {2, 6};
  d.coverage = 0.75;
  d.predicted_saving = 0.3;
  d.measured_saving = 0.25;
  d.window_tokens = 1234;
  d.window_bytes = 5678;
  d.solving = true;
  ReporterStatus reporter;
  reporter.reporter_id = "agent-0";
  reporter.node = "node-0";
  reporter.liveness = ReporterLiveness::kStale;
  reporter.tokens = 99;
  reporter.lost_steps = 3;
  reporter.left_out = {{"law \"and\" order", 0.75}};
  d.reporters = {reporter};
  SubscriberStatus subscriber;
  subscriber.subscriber_id = "agent-0";
  subscriber.role = Role::kActor;
  subscriber.connected = true;
  subscriber.phase = AckPhase::kRolledBack;
  subscriber.nack = NackReason::kOutOfMemory;
  subscriber.nack_message = "no room";
  d.subscribers = {subscriber};
  DomainStatus domain;
  domain.domain = "law \"and\" order";
  domain.window_tokens = 600;
  domain.prefill_decode_correlation = 0.8;
  domain.drift = 0.05;
  domain.internode_bytes = 3e12;
  domain.baseline_internode_bytes = 4e12;
  d.domains = {domain};
  DecisionRecord decision;
  decision.reason = DecisionReason::kNoGain;
  decision.detail = "0.1 % better, must be 2 %";
  decision.at = absl::FromUnixSeconds(100);
  d.decisions.push_back(decision);
  PlanRecord record;
  record.plan = std::make_shared<const Plan>(SamplePlan(7));
  record.content_hash = 0xfedcba9876543210;
  record.reason = DecisionReason::kDrift;
  record.published_unix_ms = 1'700'000'000'000;
  record.committed = true;
  d.plans = {record};
  d.counters.frames_applied = 11;
  d.counters.rejected_blocks[RejectReason::kSumLaw] = 2;
  d.counters.decisions[DecisionReason::kNoGain] = 4;
  d.counters.acks[AckPhase::kReceived] = 5;
  d.counters.nacks[NackReason::kOutOfMemory] = 1;
  EngineStatus status;
  status.epoch = 2;
  status.deployments = {d};
  return status;
}

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SERVER_SUPPORT_SAMPLE_STATUS_H_
