#ifndef ADVISOR_TESTS_SUPPORT_FAKE_DAEMON_H_
#define ADVISOR_TESTS_SUPPORT_FAKE_DAEMON_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/engine/engine.h"
#include "gtest/gtest.h"
#include "tests/support/properties.h"

namespace advisor::testing {

// Carries out the engine's effects as the server does, on a clock of its own: a store that keeps
// records over restarts and can be told to fail or to hold, a solver that is a function, and a
// mailbox per stream.
class FakeDaemon {
 public:
  using SolveFunction = std::function<absl::StatusOr<Plan>(const effect::StartSolve&)>;
  struct Mailbox {
    std::vector<std::variant<HelloAck, FrameAck>> reporter;
    std::vector<SubscriberMessage> subscriber;
    std::optional<absl::Status> ended;
  };

  explicit FakeDaemon(SolveFunction solve) : solve_(std::move(solve)) {}
  ~FakeDaemon() {
    for (const std::string& violation : judge_history ? Violations() : std::vector<std::string>{}) {
      ADD_FAILURE() << violation;
    }
  }

  void Start(const Deployment& deployment, const DeploymentOptions& options) {
    deployment_ = deployment;
    options_ = options;
    Restart();
  }

  // A new process on the same store. Streams of the old one are gone; of held writes, which nobody
  // acknowledged, each may have reached the disk or not.
  void Restart(const std::function<bool()>& reached_disk = [] { return false; }) {
    for (const effect::StorePlan& write : std::exchange(held_writes_, {})) {
      if (reached_disk()) {
        Keep(write.record);
      }
    }
    effects_until_death.reset();
    engine_ = std::make_unique<Engine>();
    mail_.clear();
    held_events_.clear();
    running_.reset();
    ++epoch_;
    for (const PlanRecord& record : stored_.records) {
      epoch_ = std::max(epoch_, record.plan->position.epoch + 1);
    }
    Step(event::Start{epoch_});
    Step(event::AddDeployment{deployment_, options_, stored_});
  }

  // One event, and then those that its effects bring at once.
  void Step(Event event) {
    Note(event);
    events_.push_back(std::move(event));
    while (!events_.empty()) {
      Event next = std::move(events_.front());
      events_.pop_front();
      for (Effect& effect : step(*engine_, std::move(next), now_)) {
        if (effects_until_death.has_value() && (*effects_until_death)-- <= 0) {
          effects_until_death = 0;
          events_.clear();
          return;
        }
        std::visit([this](auto& e) { Carry(e); }, effect);
      }
    }
  }
  // Killed in the middle of its effects; only Restart() brings it back.
  bool dead() const { return effects_until_death == 0; }
  void Advance(absl::Duration duration, absl::Duration tick = absl::Milliseconds(100)) {
    for (absl::Duration past; past < duration; past += tick) {
      now_ += tick;
      Step(event::Tick{});
    }
  }

  // Lets held writes and solves go on.
  void ReleaseHeld() {
    hold_store = hold_solve = false;
    for (const effect::StorePlan& write : std::exchange(held_writes_, {})) {
      Keep(write.record);
      Step(event::PlanStored{write.deployment, write.record.plan->position, absl::OkStatus()});
    }
    running_.reset();
    for (Event& event : std::exchange(held_events_, {})) {
      Step(std::move(event));
    }
  }

  DeploymentStatus Status() const { return engine_->Status().deployments.at(0); }
  Engine& engine() { return *engine_; }
  absl::Time now() const { return now_; }
  StreamId NewStream() { return StreamId(next_stream_++); }
  Mailbox& mail(StreamId stream) { return mail_[stream]; }
  StoredDeployment& stored() { return stored_; }
  std::vector<effect::CommandDone>& commands() { return commands_; }
  std::vector<effect::Log>& logs() { return logs_; }
  const std::optional<effect::UseGrouping>& grouping() const { return grouping_; }
  const std::optional<effect::StartSolve>& last_solve() const { return last_solve_; }
  int solves() const { return solves_; }
  int cancelled() const { return cancelled_; }

  History& history() { return history_; }
  std::vector<std::string> Violations() const { return PropertyChecker::Violations(history_); }
  bool judge_history = true;  // when destroyed: a violation is a failure of the test

  // The way into the engine, for a test that plants a bug around it.
  std::function<Effects(Engine&, Event, absl::Time)> step = [](Engine& engine, Event event,
                                                               absl::Time now) {
    return engine.Step(std::move(event), now);
  };
  // So many effects are carried out, then the process is gone.
  std::optional<int> effects_until_death;
  bool fail_store = false;
  std::function<bool()> failed_write_lasts;  // is on disk all the same; unset: never
  bool hold_store = false, hold_solve = false;

 private:
  void Carry(effect::SendReporter& e) { mail_[e.stream].reporter.push_back(std::move(e.message)); }
  void Carry(effect::SendSubscriber& e) {
    history_.push_back(seen::Sent{e.message});
    mail_[e.stream].subscriber.push_back(std::move(e.message));
  }
  void Carry(effect::EndStream& e) { mail_[e.stream].ended = std::move(e.status); }
  void Carry(effect::StartSolve& e) {
    EXPECT_FALSE(running_.has_value()) << "two solves at a time";
    running_ = e.ticket;
    last_solve_ = e;
    ++solves_;
    event::SolveDone done{e.deployment, e.ticket, absl::UnknownError("")};
    absl::StatusOr<Plan> plan = solve_(e);
    if (plan.ok()) {
      done.plan = std::make_shared<const Plan>(*std::move(plan));
    } else {
      done.plan = plan.status();
    }
    if (hold_solve) {
      held_events_.push_back(std::move(done));
    } else {
      events_.push_back(std::move(done));
      running_.reset();
    }
  }
  void Carry(effect::CancelSolve&) {
    ++cancelled_;
    running_.reset();
  }
  void Carry(effect::StorePlan& e) {
    history_.push_back(seen::WriteAsked{e.record});
    if (hold_store) {
      held_writes_.push_back(e);
      return;
    }
    event::PlanStored done{e.deployment, e.record.plan->position, absl::OkStatus()};
    if (fail_store) {
      done.status = absl::ResourceExhaustedError("disk full");
      if (failed_write_lasts && failed_write_lasts()) {
        Keep(e.record);
      }
    } else {
      Keep(e.record);
    }
    events_.push_back(std::move(done));
  }
  void Carry(effect::StoreState& e) {
    stored_.state = e.state;
    history_.push_back(seen::StateDurable{e.state});
  }
  void Carry(effect::UseGrouping& e) {
    grouping_ = e;
    history_.push_back(seen::GroupingUsed{e.plan->position});
  }
  void Carry(effect::CommandDone& e) { commands_.push_back(e); }
  void Carry(effect::Log& e) { logs_.push_back(e); }

  void Keep(const PlanRecord& record) {
    history_.push_back(seen::Durable{record});
    for (PlanRecord& old : stored_.records) {
      if (old.plan->position == record.plan->position) {
        old = record;
        return;
      }
    }
    stored_.records.push_back(record);
  }
  void Note(const Event& event) {
    if (const auto* opened = std::get_if<event::SubscriberOpened>(&event)) {
      node_of_[opened->stream] = opened->hello.node;
    } else if (const auto* acked = std::get_if<event::SubscriberAcked>(&event)) {
      history_.push_back(seen::Acked{node_of_[acked->stream], acked->ack});
    }
  }

  SolveFunction solve_;
  Deployment deployment_;
  DeploymentOptions options_;
  std::unique_ptr<Engine> engine_;
  absl::Time now_ = absl::UnixEpoch() + absl::Hours(1);
  uint64_t epoch_ = 0;
  uint64_t next_stream_ = 1;
  std::deque<Event> events_;
  std::vector<Event> held_events_;
  std::vector<effect::StorePlan> held_writes_;
  std::map<StreamId, Mailbox> mail_;
  StoredDeployment stored_;
  History history_;
  std::map<StreamId, std::string> node_of_;
  std::vector<effect::CommandDone> commands_;
  std::vector<effect::Log> logs_;
  std::optional<effect::UseGrouping> grouping_;
  std::optional<effect::StartSolve> last_solve_;
  std::optional<SolveTicket> running_;
  int solves_ = 0, cancelled_ = 0;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_FAKE_DAEMON_H_
