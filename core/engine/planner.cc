#include "core/engine/planner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/policy/judgement.h"
#include "core/solver/moves.h"
#include "core/window/snapshot.h"

namespace advisor {

Planner::Planner(const Deployment& deployment, const DeploymentOptions& options, Journal& journal,
                 const Ingest& ingest, Publisher& publisher, uint64_t& next_ticket)
    : deployment_(deployment),
      options_(options),
      journal_(journal),
      ingest_(ingest),
      publisher_(publisher),
      next_ticket_(next_ticket) {}

std::shared_ptr<const Plan> Planner::ReferencePlan(bool advice) const {
  const PlanRecord* record = publisher_.Reference(advice);
  return record == nullptr ? nullptr : record->plan;
}

// --- When to solve -----------------------------------------------------------------------------

void Planner::Tick(Turn& turn) {
  FollowInForce();
  UpdateCoverage(turn.now);
  UpdateStatistics(turn.now);
  CatchUpWithPeers(turn);
  if (publisher_.TakeGivenUp()) {
    go_back_ = Verdict{DecisionReason::kRollForward, "an engine gave up the placement in force"};
  }
  if (solve_.has_value()) {
    // The solver stops itself at its limit; far beyond it, it hangs.
    const absl::Duration patience = 4 * options_.policy.solve_time_limit + absl::Seconds(10);
    if (turn.now - solve_->started > patience) {
      Cancel({DecisionReason::kSolverFailed, "no result long after the time limit"}, turn);
      ++journal_.counters.solves_failed;
    }
    return;
  }
  if (publisher_.busy()) {
    return;
  }
  if (go_back_.has_value() || republish_) {
    GoBack(turn);
    return;
  }
  const SolveConditions conditions = Conditions(turn.now);
  const Verdict verdict = WhenToSolve(conditions, options_.policy, turn.now);
  if (IsPublish(verdict.reason)) {
    journal_.StopWaiting();
    Start(verdict, AdviceOnly(), false, std::nullopt, turn);
  } else {
    journal_.Wait(verdict, turn);
  }
}

void Planner::UpdateCoverage(absl::Time now) {
  coverage_ = ingest_.Coverage(now);
  if (coverage_ >= options_.policy.min_coverage) {
    coverage_low_since_ = absl::InfiniteFuture();
  } else {
    coverage_low_since_ = std::min(coverage_low_since_, now);
  }
}

void Planner::UpdateStatistics(absl::Time now) {
  if (!scan_.has_value()) {
    const absl::Duration pause = std::max(
        kStatisticsInterval,
        absl::Seconds(static_cast<double>(ingest_.window().bytes()) / kStatisticsBytesPerSecond));
    if (ingest_.tokens_closed() == tokens_at_statistics_ || now - statistics_at_ < pause) {
      return;
    }
    tokens_at_statistics_ = ingest_.tokens_closed();
    statistics_at_ = now;
    scan_.emplace();
  }
  if (!scan_->Continue(ingest_.window(), left_out_, kStatisticsBytesPerTick)) {
    return;
  }
  counts_ = scan_->Take();
  scan_.reset();
  drift_ = Drift(deployment_.model, solved_for_, counts_, deployment_.phase);
  drift_history_.Add(drift_, tokens_at_statistics_, options_.policy);
}

bool Planner::AdviceOnly() const { return coverage_ < options_.policy.min_coverage; }

SolveConditions Planner::Conditions(absl::Time now) const {
  SolveConditions c;
  const PlanRecord* reference = publisher_.Reference(AdviceOnly());
  const bool stands = reference != nullptr && reference->plan->topology == deployment_.topology;
  c.frozen = publisher_.frozen();
  c.rollout_running = publisher_.rollout_running();
  c.has_plan = stands;
  c.topology_changed = reference != nullptr && !stands;
  c.coverage = coverage_;
  c.coverage_low_since = std::min(coverage_low_since_, now);
  c.window_tokens = ingest_.window().tokens();
  c.filling = ingest_.window().filling();
  c.tokens_since_solve = ingest_.tokens_closed() - tokens_at_solve_;
  c.drift = drift_;
  c.drifted_tokens = drift_history_.drifted_tokens();
  c.lasting_tokens = drift_history_.lasting_tokens();
  c.last_solve = last_solve_;
  c.last_commit = publisher_.last_placement();
  if (!AdviceOnly()) {
    c.aborts = publisher_.aborts();
  }
  return c;
}

Problem Planner::MakeProblem(const Plan* reference, Traffic train) const {
  Problem problem;
  problem.model = deployment_.model;
  problem.topology = deployment_.topology;
  problem.microbatches = deployment_.microbatches;
  problem.time_model = deployment_.time_model;
  problem.traffic = std::move(train);
  if (reference != nullptr) {
    problem.in_force =
        reference->topology == deployment_.topology
            ? reference->placement
            : CarryOver(reference->topology, deployment_.topology, reference->placement);
  }
  return problem;
}

SolveParams Planner::Params(const Plan* reference, const Verdict& due) const {
  SolveParams params = options_.solve;
  params.phase = deployment_.phase;
  params.seed += publisher_.quarantined_count();  // refused content is not found again the same way
  const bool spared = reference == nullptr || due.reason == DecisionReason::kTopologyChange;
  params.max_moved_fraction = spared ? 1.0 : options_.policy.max_moved_fraction;
  return params;
}

void Planner::Start(Verdict due, bool advice, bool forced, std::optional<CommandId> command,
                    Turn& turn) {
  UpdateOutliers(turn);
  Snapshot snapshot = TakeSnapshot(ingest_.window(), options_.policy.holdout_share, left_out_);
  counts_ = CountsByDomain(ingest_.window(), left_out_);
  solved_for_ = counts_;
  scan_.reset();  // it left out others
  drift_ = 0;
  drift_history_.Solved();
  last_solve_ = turn.now;
  tokens_at_solve_ = tokens_at_statistics_ = ingest_.tokens_closed();
  Solve solve;
  solve.ticket = SolveTicket(next_ticket_++);
  solve.holdout = std::make_shared<const Traffic>(std::move(snapshot.holdout));
  solve.reference = ReferencePlan(advice);
  solve.advice = advice;
  solve.forced = forced;
  solve.command = command;
  solve.started = turn.now;
  const Plan* reference = solve.reference.get();
  ++journal_.counters.solves_started;
  turn.effects.push_back(effect::StartSolve{
      deployment_.name, solve.ticket,
      std::make_shared<const Problem>(MakeProblem(reference, std::move(snapshot.train))),
      solve.holdout, solve.reference, Params(reference, due), options_.policy.solve_time_limit});
  solve.due = std::move(due);
  solve_ = std::move(solve);
}

// Until the next solve: what drifts in between is held against what was solved for.
void Planner::UpdateOutliers(Turn& turn) {
  LeftOut left_out;
  outliers_ = FindOutliers(ingest_.window());
  for (const Outlier& outlier : outliers_) {
    left_out.insert({outlier.reporter, outlier.domain});
    if (!left_out_.contains({outlier.reporter, outlier.domain})) {
      journal_.Log(
          true,
          absl::StrFormat("reporter \"%s\" is left out of domain \"%s\": its experts lie "
                          "%.2f from what most reporters see, at most %.2f is believed: "
                          "look at its engine and agent",
                          outlier.reporter, outlier.domain, outlier.distance, kOutlierDistance),
          turn);
    }
  }
  left_out_ = std::move(left_out);
}

void Planner::SolveNow(const event::SolveNow& command, Turn& turn) {
  absl::Status status;
  if (publisher_.frozen()) {
    status = absl::FailedPreconditionError("the deployment is frozen: unfreeze it first");
  } else if (ingest_.window().tokens() == 0) {
    status = absl::FailedPreconditionError("no traffic yet: start agents, or replay a trace");
  } else if (solve_.has_value() || publisher_.busy() || publisher_.rollout_running()) {
    status = absl::UnavailableError("a solve or a rollout is under way: try again");
  }
  if (!status.ok()) {
    turn.effects.push_back(effect::CommandDone{command.id, status, DecisionReason::kNone, "", {}});
    return;
  }
  publisher_.ForgetAborts();
  UpdateCoverage(turn.now);
  Start({DecisionReason::kOperator, command.force ? "solve-now, forced" : "solve-now"},
        AdviceOnly() && !command.force, command.force, command.id, turn);
}

// --- What becomes of a result ------------------------------------------------------------------

void Planner::Done(const event::SolveDone& done, Turn& turn) {
  if (!solve_.has_value() || solve_->ticket != done.ticket) {
    ++journal_.counters.solves_stale;
    return;
  }
  const Solve solve = *std::exchange(solve_, std::nullopt);
  if (!done.plan.ok() || *done.plan == nullptr) {
    ++journal_.counters.solves_failed;
    Keep({DecisionReason::kSolverFailed,
          done.plan.ok() ? "the solver gave no plan" : done.plan.status().ToString()},
         solve.command, turn);
    return;
  }
  ++journal_.counters.solves_done;
  const Plan& plan = **done.plan;
  if (plan.topology != deployment_.topology || solve.reference != ReferencePlan(solve.advice) ||
      publisher_.busy() || publisher_.rollout_running()) {
    ++journal_.counters.solves_stale;
    Keep({DecisionReason::kStaleResult, "topology or placement changed while solving"},
         solve.command, turn);
    return;
  }
  absl::StatusOr<Verdict> verdict = JudgeResult(solve, plan);
  if (!verdict.ok()) {
    Keep({DecisionReason::kValidationFailed, std::string(verdict.status().message())},
         solve.command, turn);
  } else if (!IsPublish(verdict->reason)) {
    Keep(*verdict, solve.command, turn);
  } else {
    Plan published = plan;
    if (solve.reference == nullptr) {  // the solver knew of nothing in force
      published.moves = MovesFrom(nullptr, plan);
    }
    publisher_.Publish(std::move(published), *std::move(verdict), solve.advice, solve.command,
                       turn);
  }
}

absl::StatusOr<Verdict> Planner::JudgeResult(const Solve& solve, const Plan& plan) const {
  if (ModelFingerprint(plan.model) != ModelFingerprint(deployment_.model)) {
    return absl::InvalidArgumentError("the solver's plan is for another model");
  }
  if (absl::Status valid = Validate(plan); !valid.ok()) {
    return valid;
  }
  Candidate candidate;
  candidate.plan = &plan;
  candidate.in_force = solve.reference.get();
  candidate.due = solve.due;
  candidate.quarantined = publisher_.quarantined(PlacementHash(plan));
  candidate.frozen = publisher_.frozen();
  candidate.forced = solve.forced;
  const SolveParams params = Params(candidate.in_force, solve.due);
  absl::StatusOr<std::optional<Figures>> figures = FiguresOn(plan, *solve.holdout, params);
  if (!figures.ok()) {
    return figures.status();
  }
  const bool comparable =
      candidate.in_force != nullptr && candidate.in_force->topology == plan.topology;
  absl::StatusOr<std::optional<Figures>> before =
      comparable ? FiguresOn(*candidate.in_force, *solve.holdout, params)
                 : LinearFiguresOn(plan, *solve.holdout, params);
  if (!before.ok()) {
    return before.status();
  }
  candidate.figures = *figures;
  candidate.figures_in_force = *before;
  return Judge(candidate, params, options_.policy);
}

void Planner::Keep(const Verdict& verdict, const std::optional<CommandId>& command, Turn& turn) {
  journal_.Decide(verdict, {}, turn);
  if (command.has_value()) {
    turn.effects.push_back(
        effect::CommandDone{*command, absl::OkStatus(), verdict.reason, verdict.detail, {}});
  }
}

void Planner::Cancel(const Verdict& verdict, Turn& turn) {
  if (!solve_.has_value()) {
    return;
  }
  const Solve solve = *std::exchange(solve_, std::nullopt);
  turn.effects.push_back(effect::CancelSolve{solve.ticket});
  Keep(verdict, solve.command, turn);
}

void Planner::FillStatus(DeploymentStatus* status) const {
  status->solving = solve_.has_value();
  const std::shared_ptr<const Plan> reference = ReferencePlan(false);
  if (reference != nullptr && reference->predicted.has_value()) {
    status->predicted_saving = reference->predicted->figures.saving_ratio;
  }
  if (watch_.position() != Position{}) {
    status->measured_saving = watch_.measured_saving();
  }
  for (const Outlier& outlier : outliers_) {  // by domain
    for (ReporterStatus& reporter : status->reporters) {
      if (reporter.reporter_id == outlier.reporter) {
        reporter.left_out.push_back({outlier.domain, outlier.distance});
      }
    }
  }
  for (const DomainCounts& counts : counts_) {
    auto at = std::lower_bound(
        status->domains.begin(), status->domains.end(), counts.domain,
        [](const DomainStatus& domain, const std::string& name) { return domain.domain < name; });
    if (at == status->domains.end() || at->domain != counts.domain) {
      at = status->domains.insert(at, DomainStatus{});
      at->domain = counts.domain;
    }
    at->window_tokens = counts.tokens[0] + counts.tokens[1];
    at->drift = DomainDrift(deployment_.model, solved_for_, counts, deployment_.phase);
    at->prefill_decode_correlation = PrefillDecodeCorrelation(deployment_.model, counts);
  }
}

}  // namespace advisor
