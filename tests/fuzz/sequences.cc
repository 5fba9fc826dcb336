// Sequences of messages, timers, store failures and restarts against the engine: the promises that
// can be judged without honest clients hold whatever the clients do.
#include <memory>

#include "absl/strings/str_cat.h"
#include "core/session/errors.h"
#include "tests/fuzz/target.h"
#include "tests/support/fake_daemon.h"
#include "tests/support/fake_plan.h"
#include "tests/support/random_traffic.h"
#include "tests/support/reports.h"

namespace advisor::fuzz {
namespace {

class Player {
 public:
  explicit Player(const std::string& input)
      : choices_(input), daemon_([this](const effect::StartSolve& solve) { return Solve(solve); }) {
    deployment_.name = "chat";
    deployment_.mode = Mode::kActive;
    deployment_.model = testing::SmallModel(2, 8, 2);
    deployment_.topology = *Topology::Uniform(2, 1, 5);
    options_.window.bucket_tokens = 8;
    options_.policy.min_window_tokens = 8;
    options_.policy.min_solve_interval = options_.policy.min_commit_interval = absl::ZeroDuration();
    options_.policy.min_gain = -1;
    options_.policy.gain_over_move_cost = -1e12;
    options_.policy.stage_timeout = absl::Seconds(2);
    daemon_.judge_history = false;
    daemon_.Start(deployment_, options_);
    Connect();
  }

  void Play() {
    for (int steps = 0; steps < 500 && !choices_.empty(); ++steps) {
      Act();
    }
    for (const std::string& violation : daemon_.Violations()) {
      Require(false, violation);
    }
  }

 private:
  absl::StatusOr<Plan> Solve(const effect::StartSolve& solve) {
    const int variant = choices_.Below(6);
    if (variant == 5) {
      return absl::InternalError("fails");
    }
    return testing::LinearPlan(solve.problem->model, solve.problem->topology, variant);
  }
  // A fleet that behaves, for the rest to happen to.
  void Connect() {
    for (int n = 0; n < 2; ++n) {
      const std::string node = absl::StrCat("node-", n);
      OpenReporter({"chat", node, {1, ++connects_}, 0, node, 1});
      SubscriberHello hello;
      hello.deployment = "chat";
      hello.subscriber_id = hello.node = node;
      hello.incarnation = {1, connects_};
      hello.role = Role::kActor;
      OpenSubscriber(std::move(hello));
    }
  }
  void OpenReporter(ReporterHello hello) {
    reporters_.push_back({daemon_.NewStream(), hello.next_seq});
    daemon_.Step(event::ReporterOpened{reporters_.back().stream, std::move(hello)});
  }
  void OpenSubscriber(SubscriberHello hello) {
    subscribers_.push_back({daemon_.NewStream(), 0});
    daemon_.Step(event::SubscriberOpened{subscribers_.back().stream, std::move(hello)});
  }
  // The frame that the daemon waits for.
  void ReportWell() {
    Reporter& reporter = reporters_[choices_.Next() % reporters_.size()];
    Frame frame = SomeFrame();
    frame.key_frame = false;
    frame.seq_first = frame.seq_last = reporter.next_seq++;
    daemon_.Step(event::ReporterFrame{reporter.stream, std::move(frame)});
  }
  // Does and says all that a subscriber was asked for.
  void AnswerWell() {
    Subscriber& subscriber = subscribers_[choices_.Next() % subscribers_.size()];
    const auto say = [&](Position position, AckPhase phase) {
      PlanAck ack;
      ack.position = position;
      ack.phase = phase;
      daemon_.Step(event::SubscriberAcked{subscriber.stream, ack});
    };
    while (subscriber.read < daemon_.mail(subscriber.stream).subscriber.size()) {
      const SubscriberMessage message =
          daemon_.mail(subscriber.stream).subscriber[subscriber.read++];
      if (const auto* update = std::get_if<PlacementUpdate>(&message)) {
        say(update->plan->position, AckPhase::kReceived);
        if (update->mode != PlacementMode::kAdvisory) {
          say(update->plan->position,
              update->mode == PlacementMode::kPrepare ? AckPhase::kStaged : AckPhase::kApplied);
        }
      } else if (const auto* decision = std::get_if<RolloutDecision>(&message)) {
        say(decision->position, decision->commit ? AckPhase::kApplied : AckPhase::kRolledBack);
      }
    }
  }
  Incarnation SomeIncarnation() { return {0, choices_.Below(3)}; }
  std::string SomeNode() { return absl::StrCat("node-", choices_.Below(3)); }
  StreamId SomeStream() {
    return StreamId(1 + choices_.Next() % (reporters_.size() + subscribers_.size()));
  }
  Position SomePosition() {
    const DeploymentStatus status = daemon_.Status();
    switch (choices_.Below(4)) {
      case 0:
        return status.position;
      case 1:
        return status.in_force;
      case 2:
        return status.grouping;
      default:
        return {choices_.Below(4), choices_.Below(8)};
    }
  }
  Frame SomeFrame() {
    Rng rng(choices_.Next());
    Frame frame = testing::FrameOf(
        deployment_.model,
        testing::RandomTraffic(deployment_.model, 1 + choices_.Below(3), 2, &rng).requests, 1,
        1 + choices_.Next());
    frame.seq_first = 1 + choices_.Below(20);
    frame.seq_last = frame.seq_first + choices_.Below(4);
    frame.steps = choices_.Below(8);
    frame.lost_steps = choices_.Below(4);
    frame.key_frame = choices_.Below(4) == 0;
    frame.key_base_seq = frame.key_frame ? choices_.Below(4) : 0;
    frame.applied = SomePosition();
    if (choices_.Below(8) == 0) {
      frame.blocks[0].counts.data += choices_.Flag() ? "x" : "";
      frame.blocks[0].tokens += choices_.Below(2);
    }
    return frame;
  }
  SubscriberHello SomeSubscriber() {
    SubscriberHello hello;
    hello.deployment = "chat";
    hello.subscriber_id = absl::StrCat("s", choices_.Below(3));
    hello.incarnation = SomeIncarnation();
    hello.role = choices_.Below(4) == 0 ? Role::kObserver : Role::kActor;
    hello.ability = choices_.Flag() ? ApplyAbility::kHotSwap : ApplyAbility::kRestartOnly;
    hello.node = SomeNode();
    hello.features.delta_placement = choices_.Flag();
    if (choices_.Flag()) {
      hello.placement = SomePosition();
      hello.placement_hash = choices_.Next();
    }
    return hello;
  }

  void Act() {
    switch (choices_.Below(16)) {
      case 0:
        return OpenReporter({"chat", absl::StrCat("r", choices_.Below(3)), SomeIncarnation(), 0,
                             SomeNode(), 1 + uint64_t{choices_.Below(4)}});
      case 1:
        return daemon_.Step(event::ReporterFrame{SomeStream(), SomeFrame()});
      case 2:
        return ReportWell();
      case 3: {
        WindowReplay window;
        window.through_seq = choices_.Below(20);
        window.buckets.push_back(SomeFrame());
        return daemon_.Step(event::ReporterWindow{SomeStream(), std::move(window)});
      }
      case 4:
        return daemon_.Step(event::ReporterClosed{SomeStream()});
      case 5:
        return daemon_.Step(event::ReporterGap{SomeStream()});
      case 6:
        return OpenSubscriber(SomeSubscriber());
      case 7:
      case 8:
        return AnswerWell();
      case 9: {
        PlanAck ack;
        ack.subject = choices_.Below(4) == 0 ? AckSubject::kGrouping : AckSubject::kPlacement;
        ack.position = SomePosition();
        ack.phase = static_cast<AckPhase>(1 + choices_.Below(6));
        ack.nack = ack.phase == AckPhase::kNack ? static_cast<NackReason>(1 + choices_.Below(7))
                                                : NackReason::kNone;
        return daemon_.Step(event::SubscriberAcked{SomeStream(), ack});
      }
      case 10:
        return daemon_.Step(event::SubscriberClosed{SomeStream()});
      case 11:
      case 12:
        return daemon_.Advance(absl::Milliseconds(100) * (1 + choices_.Below(30)));
      case 13:
        daemon_.fail_store = choices_.Flag();
        daemon_.hold_store = choices_.Flag();
        return daemon_.hold_store ? void() : daemon_.ReleaseHeld();
      case 14:
        return Command();
      default:
        if (choices_.Below(4) == 0) {
          daemon_.Restart([this] { return choices_.Flag(); });
          Connect();
        } else {
          ReportWell();
        }
    }
  }
  void Command() {
    const CommandId id(++commands_);
    switch (choices_.Below(4)) {
      case 0:
        return daemon_.Step(event::SolveNow{id, "chat", choices_.Flag()});
      case 1:
        return daemon_.Step(
            event::SetMode{id, "chat", choices_.Flag() ? Mode::kActive : Mode::kAdvisory});
      case 2:
        return daemon_.Step(event::SetFrozen{id, "chat", choices_.Flag()});
      default:
        return daemon_.Step(event::Rollback{id, "chat", SomePosition()});
    }
  }

  Choices choices_;
  Deployment deployment_;
  DeploymentOptions options_;
  testing::FakeDaemon daemon_;
  struct Reporter {
    StreamId stream;
    uint64_t next_seq;
  };
  struct Subscriber {
    StreamId stream;
    size_t read;
  };
  std::vector<Reporter> reporters_;
  std::vector<Subscriber> subscribers_;
  uint64_t connects_ = 0, commands_ = 0;
};

}  // namespace

void Try(const std::string& input) { Player(input).Play(); }

std::vector<std::string> Seeds() {
  // Reports, time, and answers, again and again: plans are made, staged and committed. The last
  // byte before the answers is the solver's choice, where there is a solve.
  std::string good;
  for (int round = 0; round < 24; ++round) {
    for (const char reporter : {0, 1}) {
      good += std::string{2, reporter, static_cast<char>(round), 2, 1, 0, 0, 1, 0, 1, 0, 1};
    }
    good += std::string{12, 10, static_cast<char>(12 + round % 3 * 16)};
    for (const char subscriber : {0, 1, 0, 1}) {
      good += std::string{7, subscriber};
    }
  }
  std::vector<std::string> seeds = {good};
  for (uint64_t seed = 1; seed <= 3; ++seed) {  // with other things thrown in
    Rng rng(seed);
    std::string mixed = good;
    for (int i = 0; i < 40; ++i) {
      mixed.insert(rng.Below(static_cast<uint32_t>(mixed.size())), 1,
                   static_cast<char>(rng.Below(256)));
    }
    seeds.push_back(std::move(mixed));
  }
  return seeds;
}

}  // namespace advisor::fuzz
