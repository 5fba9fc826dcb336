#include "tests/sim/world.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "core/session/errors.h"
#include "tests/support/fake_plan.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor::testing {
namespace {

constexpr char kName[] = "chat";

}  // namespace

World::World(uint64_t seed, const Faults& faults, Step step)
    : rng_(seed),
      faults_(faults),
      daemon_([this](const effect::StartSolve& solve) { return Solve(solve); }) {
  deployment_.name = kName;
  deployment_.mode = Mode::kActive;
  deployment_.model = SmallModel(2, 12, 2);
  deployment_.topology = *Topology::Uniform(kNodes, 1, 5);
  options_.window.bucket_tokens = 30 + rng_.Below(60);
  options_.window.buckets = 4;
  options_.window.max_domains = 2 + static_cast<int>(rng_.Below(3));
  options_.policy.min_window_tokens = 120;
  options_.policy.min_solve_interval = absl::Seconds(1);
  options_.policy.max_solve_interval = absl::Seconds(5);
  options_.policy.min_commit_interval = absl::Seconds(2);
  options_.policy.coverage_wait = absl::Seconds(10);
  options_.policy.stage_timeout = absl::Seconds(6);
  options_.policy.commit_resend = absl::Seconds(1);
  options_.policy.max_moved_fraction = 1;
  options_.policy.min_gain = -1;  // whatever it gains: what counts here is the way out
  options_.policy.gain_over_move_cost = -1e12;
  options_.session.reporter_lease = absl::Seconds(12);
  options_.session.received_timeout = absl::Seconds(4);
  options_.session.kept_plans = 6;
  options_.session.key_frame_every = 9;
  daemon_.judge_history = false;  // Violations() is asked for
  if (step) {
    daemon_.step = std::move(step);
  }
  daemon_.failed_write_lasts = [this] { return Chance(3); };
  daemon_.Start(deployment_, options_);
  for (int n = 0; n <= kNodes; ++n) {
    const bool router = n == kNodes;
    const std::string id = router ? "router" : absl::StrCat("agent-", n);
    const std::string node = router ? "" : absl::StrCat("node-", n);
    Host& host = hosts_[id];
    host.subscriber = std::make_unique<FakeSubscriber>(
        id, node, Incarnation{0, 1}, router ? Role::kObserver : Role::kActor, &daemon_.history());
    host.subscriber->restart_only = !router && Chance(8);
    if (!router) {
      host.reporter =
          std::make_unique<FakeReporter>(deployment_.model, id, node, Incarnation{0, 1});
    }
  }
}

absl::StatusOr<Plan> World::Solve(const effect::StartSolve& solve) {
  if (Chance(8)) {
    return absl::InternalError("the solver fails now and then");
  }
  Plan plan = LinearPlan(solve.problem->model, solve.problem->topology, 0);
  for (int l = 0; l < plan.model.moe_layers; ++l) {
    auto row = plan.placement.row(LayerId(l));
    std::rotate(row.begin(), row.begin() + static_cast<int>(rng_.Below(row.size())), row.end());
  }
  if (!Chance(5)) {
    plan.grouping = ByDomain(plan.model, plan.topology, 1 + static_cast<int>(rng_.Below(3)));
  }
  return plan;
}

void World::Run(int ticks) {
  for (int i = 0; i < ticks; ++i) {
    Tick(false);
  }
  Settle();
}

void World::Partition(int ticks) {
  for (int i = 0; i < ticks; ++i) {
    for (auto& [id, host] : hosts_) {
      CutStreams(&host);
      host.reconnect_reports = host.reconnect_plans = 1;
    }
    Tick(false);
  }
}

void World::Settle() {
  daemon_.fail_store = false;
  daemon_.ReleaseHeld();
  for (auto& [id, host] : hosts_) {
    host.subscriber->silent = host.subscriber->refuses_all = host.clogged = false;
  }
  daemon_.Step(event::SetFrozen{CommandId(next_command_++), kName, false});
  daemon_.Step(event::SetMode{CommandId(next_command_++), kName, Mode::kActive});
  for (int i = 0; i < 150; ++i) {
    Tick(true);
  }
  daemon_.Step(event::SetFrozen{CommandId(next_command_++), kName, true});  // nothing new from here
  for (int i = 0; i < 100; ++i) {
    Tick(true);
  }
  CheckCounts(true);
  CheckAgreement();
  AddUp();
}

std::vector<std::string> World::Violations() const {
  std::vector<std::string> all = daemon_.Violations();
  all.insert(all.end(), violations_.begin(), violations_.end());
  return all;
}

std::vector<std::string> World::Log() {
  std::vector<std::string> lines;
  for (const effect::Log& line : daemon_.logs()) {
    lines.push_back(line.text);
  }
  return lines;
}

void World::Tick(bool calm) {
  ++ticks_;
  if (!calm) {
    BreakThings();
    Operate();
  }
  for (auto& [id, host] : hosts_) {
    CountSteps(&host, calm);
    if (host.clogged) {
      continue;
    }
    Reconnect(&host, calm);
    SendReports(&host, calm);
    Deliver(&host, calm);
    ReadReports(&host);
    ReadPlans(&host, calm);
    NoticeEnds(&host);
  }
  daemon_.Advance(absl::Milliseconds(100));
  if (daemon_.dead()) {
    RestartDaemon();
  }
  if (ticks_ % 16 == 0) {
    CheckCounts(false);
  }
}

// --- What goes wrong ---------------------------------------------------------------------------

void World::BreakThings() {
  if (Chance(faults_.daemon_killed)) {
    RestartDaemon();
  }
  if (Chance(faults_.daemon_killed_inside)) {
    daemon_.effects_until_death = 1 + static_cast<int>(rng_.Below(12));
  }
  if (Chance(faults_.store_fails)) {
    daemon_.fail_store = !daemon_.fail_store;
    seen_.failed_writes += daemon_.fail_store ? 1 : 0;
  }
  if (Chance(faults_.store_hangs)) {
    daemon_.hold_store = Chance(2);
    daemon_.hold_solve = Chance(2);
  } else if (Chance(8)) {
    daemon_.ReleaseHeld();
  }
  for (auto& [id, host] : hosts_) {
    if (Chance(faults_.streams_cut)) {
      CutStreams(&host);
    }
    if (host.reporter != nullptr && Chance(faults_.agent_killed)) {
      RestartAgent(&host);
    }
    if (Chance(faults_.subscriber_stuck)) {
      host.subscriber->silent = Chance(3);
      host.subscriber->refuses_all = Chance(6);
    }
  }
  Swizzle();
  taste_ = Chance(100) ? static_cast<int>(rng_.Below(12)) : taste_;
}

// Links stop one after another until most are stuck, and come back in another order.
void World::Swizzle() {
  if (!Chance(faults_.links_clogged)) {
    return;
  }
  auto host = hosts_.begin();
  std::advance(host, rng_.Below(static_cast<uint32_t>(hosts_.size())));
  if (host->second.clogged == healing_) {
    host->second.clogged = !healing_;
    seen_.clogs += healing_ ? 0 : 1;
  }
  const auto clogged = static_cast<size_t>(
      std::count_if(hosts_.begin(), hosts_.end(), [](const auto& h) { return h.second.clogged; }));
  healing_ = healing_ ? clogged > 0 : clogged + 1 >= hosts_.size();
}

void World::Operate() {
  if (!Chance(faults_.operator_acts)) {
    return;
  }
  const CommandId id(next_command_);
  if (Chance(150)) {
    daemon_.Step(event::SetMode{id, kName, Chance(2) ? Mode::kActive : Mode::kAdvisory});
  } else if (Chance(150)) {
    daemon_.Step(event::SetFrozen{id, kName, Chance(3)});
  } else if (Chance(100)) {
    daemon_.Step(event::Rollback{id, kName, {}});
  } else if (Chance(60)) {
    daemon_.Step(event::SolveNow{id, kName, Chance(2)});
  } else {
    return;
  }
  ++next_command_;
}

void World::RestartDaemon() {
  AddUp();
  ++seen_.daemon_restarts;
  daemon_.Restart([this] { return Chance(2); });
  for (auto& [id, host] : hosts_) {
    host.reporting = host.subscribed = false;
    host.outgoing.clear();
    host.late.reset();
    host.reconnect_reports = static_cast<int>(rng_.Below(20));
    host.reconnect_plans = static_cast<int>(rng_.Below(20));
    host.ended_steps = host.counted_before = 0;
    host.refused.clear();  // what counts is in quarantine
    host.cut_short = false;
  }
}

void World::CutStreams(Host* host) {
  if (host->reporting) {
    daemon_.Step(event::ReporterClosed{host->reports});
  }
  if (host->subscribed) {
    daemon_.Step(event::SubscriberClosed{host->plans});
  }
  host->reporting = host->subscribed = false;
  host->outgoing.clear();
  host->late.reset();
  host->reconnect_reports = static_cast<int>(rng_.Below(15));
  host->reconnect_plans = static_cast<int>(rng_.Below(40));
}

// The agent's process, and with it what it had not reported; its plan file stays.
void World::RestartAgent(Host* host) {
  CutStreams(host);
  host->ended_steps += host->reporter->steps();
  host->cut_short = true;
  ++host->incarnation;
  const std::string id = host->reporter->id();
  host->reporter = std::make_unique<FakeReporter>(deployment_.model, id, host->reporter->node(),
                                                  Incarnation{0, host->incarnation});
  host->subscriber->Restart({0, host->incarnation});
}

// --- What goes on ------------------------------------------------------------------------------

void World::CountSteps(Host* host, bool calm) {
  if (host->reporter == nullptr || Chance(3)) {
    return;
  }
  if (!calm && Chance(40)) {
    host->reporter->Lose();
    return;
  }
  SumsByKey sums;
  for (int d = 0; d < 3; ++d) {
    if (Chance(2)) {
      sums[{absl::StrCat("d", (d + taste_) % 5), static_cast<int>(rng_.Below(2))}] =
          RandomSums(deployment_.model, 1 + rng_.Below(6), &rng_);
    }
  }
  host->reporter->Count(sums, host->subscriber->applied(), &rng_);
}

void World::Reconnect(Host* host, bool calm) {
  if (host->reporter != nullptr && !host->reporting && host->reconnect_reports-- <= 0) {
    host->reports = daemon_.NewStream();
    host->reporting = true;
    host->reports_read = 0;
    daemon_.Step(event::ReporterOpened{host->reports, host->reporter->Hello(kName)});
  }
  if (!host->subscribed && (host->reconnect_plans-- <= 0 || calm)) {
    host->plans = daemon_.NewStream();
    host->subscribed = true;
    host->plans_read = 0;
    for (auto& [hash, first] : host->refused) {
      first = 0;
    }
    daemon_.Step(event::SubscriberOpened{host->plans, host->subscriber->Hello(kName)});
  }
}

void World::SendReports(Host* host, bool calm) {
  if (!host->reporting || host->reports_read == 0) {
    return;  // no HelloAck yet
  }
  if (std::optional<WindowReplay> window = host->reporter->NextWindow()) {
    host->counted_before = CountedSteps(host->reporter->id());
    if (calm || !Chance(faults_.window_lost)) {
      host->outgoing.push_back(event::ReporterWindow{host->reports, *std::move(window)});
    }
  }
  while (std::optional<Frame> frame = host->reporter->NextFrame(&rng_)) {
    if (!calm && !frame->key_frame && Chance(faults_.frame_lost)) {
      continue;  // lost on the way; agents rely on the stream for key frames, which go with it
    }
    event::ReporterFrame sent{host->reports, *std::move(frame)};
    if (!calm && Chance(faults_.frame_doubled)) {
      host->late = sent;
    }
    host->outgoing.push_back(std::move(sent));
  }
}

void World::Deliver(Host* host, bool calm) {
  while (!host->outgoing.empty() && (calm || !Chance(4))) {
    const Event event = std::move(host->outgoing.front());
    host->outgoing.pop_front();
    daemon_.Step(event);
    NoteRefusal(host, event);
  }
  if (host->late.has_value() && Chance(3)) {
    daemon_.Step(*std::exchange(host->late, std::nullopt));
  }
}

void World::NoteRefusal(Host* host, const Event& event) {
  const auto* acked = std::get_if<event::SubscriberAcked>(&event);
  if (acked == nullptr || acked->ack.phase != AckPhase::kNack || acked->stream != host->plans ||
      daemon_.mail(host->plans).ended.has_value()) {
    return;
  }
  const uint64_t fallback = PlacementHash(LinearPlan(deployment_.model, deployment_.topology, 0));
  for (const PlanRecord& record : daemon_.stored().records) {
    // What everybody can fall back to is asked for again, however it came to be found.
    if (record.plan->position == acked->ack.position && record.content_hash != fallback) {
      host->refused.try_emplace(record.content_hash, daemon_.mail(host->plans).subscriber.size());
    }
  }
}

void World::ReadReports(Host* host) {
  if (!host->reporting) {
    return;
  }
  const auto& mail = daemon_.mail(host->reports).reporter;
  for (; host->reports_read < mail.size(); ++host->reports_read) {
    if (const auto* hello = std::get_if<HelloAck>(&mail[host->reports_read])) {
      host->reporter->OnHelloAck(*hello);
    } else {
      host->reporter->OnFrameAck(std::get<FrameAck>(mail[host->reports_read]));
    }
  }
}

void World::ReadPlans(Host* host, bool calm) {
  while (host->subscribed && (calm || !Chance(3)) &&
         host->plans_read < daemon_.mail(host->plans).subscriber.size()) {
    const SubscriberMessage message = daemon_.mail(host->plans).subscriber[host->plans_read++];
    if (const auto* update = std::get_if<PlacementUpdate>(&message)) {
      const auto refused = host->refused.find(PlacementHash(*update->plan));
      Expect(refused == host->refused.end() || host->plans_read <= refused->second,
             absl::StrCat(host->subscriber->id(), ": refused content came again"));
    }
    if (!calm && std::holds_alternative<RolloutDecision>(message) &&
        Chance(faults_.decision_lost)) {
      continue;
    }
    for (const PlanAck& ack : host->subscriber->On(message)) {
      host->outgoing.push_back(event::SubscriberAcked{host->plans, ack});
    }
  }
}

void World::NoticeEnds(Host* host) {
  if (host->reporting && daemon_.mail(host->reports).ended.has_value()) {
    daemon_.Step(event::ReporterClosed{host->reports});
    host->reporting = false;
  }
  if (host->subscribed && daemon_.mail(host->plans).ended.has_value()) {
    const absl::Status& status = *daemon_.mail(host->plans).ended;
    Expect(status.code() != absl::StatusCode::kInvalidArgument, status.ToString());
    daemon_.Step(event::SubscriberClosed{host->plans});
    host->subscribed = false;
  }
}

// --- What must hold ----------------------------------------------------------------------------

void World::Expect(bool holds, const std::string& violation) {
  if (!holds) {
    violations_.push_back(violation);
  }
}

void World::ExpectEqual(const Position& is, const Position& must, const std::string& what) {
  Expect(is == must, absl::StrCat(what, " is ", ToString(is), ", not ", ToString(must)));
}

uint64_t World::CountedSteps(const std::string& reporter_id) const {
  for (const ReporterStatus& reporter : daemon_.Status().reporters) {
    if (reporter.reporter_id == reporter_id) {
      return reporter.steps;
    }
  }
  return 0;
}

void World::CheckCounts(bool calm) {
  const DeploymentStatus status = daemon_.Status();
  uint64_t steps = 0;
  for (const ReporterStatus& reporter : status.reporters) {
    const Host& host = hosts_.at(reporter.reporter_id);
    seen::Counted counted;
    counted.reporter = reporter.reporter_id;
    counted.steps = reporter.steps;
    counted.steps_made = host.ended_steps + host.reporter->steps();
    counted.lost_steps = reporter.lost_steps;
    counted.lost_steps_stated = host.reporter->lost_steps();
    counted.rejected_blocks = reporter.rejected_blocks;
    counted.settled = calm && !host.cut_short;
    if (counted.settled) {
      // What was replayed in a window is in it, but not in the counter.
      counted.steps_made =
          host.counted_before + host.reporter->steps() - host.reporter->base_steps();
    }
    daemon_.history().push_back(std::move(counted));
    steps += reporter.steps;
  }
  Expect(status.counters.steps == steps,
         "the deployment's steps are not the sum of its reporters'");
}

void World::CheckAgreement() {
  const DeploymentStatus status = daemon_.Status();
  Expect(!status.solving, "a solve goes on for ever");
  Expect(status.coverage == 1.0, "not all reporters are back");
  for (const auto& [id, host] : hosts_) {
    const bool refused = std::any_of(status.plans.begin(), status.plans.end(),
                                     [&, &h = host](const PlanRecord& record) {
                                       return record.plan->position == status.in_force &&
                                              h.refused.contains(record.content_hash);
                                     });
    if (refused && host.subscriber->role() == Role::kObserver) {
      continue;  // refused the same content before, and is not asked again
    }
    ExpectEqual(host.subscriber->applied(), status.in_force, absl::StrCat("what runs on ", id));
    Expect(host.subscriber->staged() == nullptr, absl::StrCat(id, " still holds what it staged"));
    if (status.grouping != Position{}) {
      ExpectEqual(host.subscriber->grouping(), status.grouping, absl::StrCat(id, "'s grouping"));
    }
  }
  Expect(status.in_force != Position{}, "nothing came into force, calm as it was");
}

// The counters of a process that ends.
void World::AddUp() {
  const DeploymentCounters counters = daemon_.Status().counters;
  seen_.published += static_cast<int>(counters.plans_published);
  seen_.committed += static_cast<int>(counters.rollouts_committed);
  seen_.aborted += static_cast<int>(counters.rollouts_aborted);
  seen_.key_frames += static_cast<int>(counters.key_frames);
  seen_.windows += static_cast<int>(counters.windows_replayed);
  seen_.duplicates += static_cast<int>(counters.frames_duplicate);
  if (daemon_.stored().state.has_value()) {
    seen_.quarantined += static_cast<int>(daemon_.stored().state->quarantined_hashes.size());
  }
}

}  // namespace advisor::testing
