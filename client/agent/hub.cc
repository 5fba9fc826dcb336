#include "client/agent/hub.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"

namespace advisor::client {
namespace {

constexpr size_t kMaxAcks = 256;
constexpr absl::Duration kFlushTime = absl::Seconds(1);  // to hand over the last counts on Stop()

std::string ToText(Position p) { return fmt::format("{}.{}", p.epoch, p.revision); }

void WaitUntil(std::condition_variable* change, std::unique_lock<std::mutex>* lock,
               absl::Time deadline) {
  if (deadline == absl::InfiniteFuture()) {
    change->wait(*lock);
  } else {
    change->wait_until(*lock, absl::ToChronoTime(deadline));
  }
}

}  // namespace

Hub::Hub(ReporterIdentity identity, PlanSessionOptions options,
         std::function<Incarnation()> new_incarnation, StorePlan store)
    : store_(std::move(store)),
      report_(std::move(identity), new_incarnation),
      plans_(std::move(options), new_incarnation()),
      writer_([this] { WritePlans(); }) {}

Hub::~Hub() {
  {
    std::lock_guard lock(plan_mutex_);
    destroyed_ = true;
  }
  write_change_.notify_one();
  writer_.join();
}

absl::Status Hub::Restore(Plan plan) {
  if (absl::Status status = report_.SetModel(plan.model, plan.topology); !status.ok()) {
    return status;
  }
  report_.AddPlacement(plan);
  plans_.Restore(std::move(plan));
  return absl::OkStatus();
}

void Hub::SetLostSteps(uint64_t client, uint64_t lost_steps, uint64_t acked) {
  bool first_in_frame = false;
  {
    std::lock_guard lock(report_mutex_);
    first_in_frame = !report_.HasNews();
    report_.SetLostSteps(client, lost_steps, acked);
  }
  if (first_in_frame) {
    report_change_.notify_all();
  }
}

absl::Status Hub::Record(const Step& step) {
  bool first_under_plan = false, first_in_frame = false;
  {
    std::lock_guard lock(report_mutex_);
    first_in_frame = !report_.HasNews();
    if (absl::Status status = report_.Record(step); !status.ok()) {
      ++refused_steps_;
      return status;
    }
    first_under_plan = step.applied != last_applied_;
    last_applied_ = step.applied;
  }
  if (first_in_frame || first_under_plan) {
    report_change_.notify_all();  // later steps only merge into what is due already
  }
  if (first_under_plan) {
    {
      std::lock_guard lock(plan_mutex_);
      CarryOut(plans_.OnEngineRuns(step.applied, step.step));
    }
    AnnouncePlans();
  }
  return absl::OkStatus();
}

absl::Status Hub::Confirm(const PlanAck& ack) {
  {
    std::lock_guard lock(plan_mutex_);
    absl::StatusOr<PlanEffects> effects = plans_.OnEngineAck(ack);
    if (!effects.ok()) {
      return effects.status();
    }
    CarryOut(*std::move(effects));
  }
  AnnouncePlans();
  return absl::OkStatus();
}

DeploymentInfo Hub::Info() const {
  std::lock_guard lock(report_mutex_);
  DeploymentInfo info;
  info.known = report_.has_model();
  if (info.known) {
    info.node_index = report_.node_index();
    info.model = report_.aggregator().model();
    info.topology = report_.aggregator().topology();
  }
  return info;
}

std::optional<Watch::Message> Hub::NextFor(Watch* watch) {
  std::lock_guard lock(plan_mutex_);
  return watch->Next(plans_);
}

void Hub::AddListener(std::shared_ptr<PlanListener> listener) {
  std::lock_guard lock(plan_mutex_);
  listeners_.push_back(std::move(listener));
}

void Hub::RemoveListener(const PlanListener* listener) {
  std::lock_guard lock(plan_mutex_);
  std::erase_if(listeners_, [&](const auto& held) { return held.get() == listener; });
}

std::vector<std::shared_ptr<PlanListener>> Hub::Listeners() const {
  std::lock_guard lock(plan_mutex_);
  return listeners_;
}

ReporterHello Hub::ReportHello() {
  std::lock_guard lock(report_mutex_);
  return report_.Hello();
}

absl::Status Hub::OnHelloAck(const HelloAck& ack) {
  absl::Status status;
  {
    std::scoped_lock lock(report_mutex_, plan_mutex_);
    status = report_.OnHelloAck(ack);
    // A topology that changed has other nodes to visit: placements are looked up anew.
    for (const auto& plan : {plans_.in_force(), plans_.staging()}) {
      if (plan != nullptr) {
        report_.AddPlacement(*plan);
      }
    }
  }
  report_change_.notify_all();
  AnnouncePlans();
  return status;
}

void Hub::OnFrameAck(const FrameAck& ack) {
  {
    std::lock_guard lock(report_mutex_);
    report_.OnFrameAck(ack);
  }
  report_change_.notify_all();
}

void Hub::OnReportEnd() {
  std::lock_guard lock(report_mutex_);
  report_.OnStreamEnd();
}

std::optional<ReportSession::Message> Hub::WaitReport(absl::Time hello_deadline,
                                                      const std::function<bool()>& interrupted) {
  std::unique_lock lock(report_mutex_);
  while (!interrupted()) {
    const absl::Time now = absl::Now();
    const bool flushed = stopping_ && (report_.idle() || now >= flush_until_);
    if (flushed || (!report_.connected() && now >= hello_deadline)) {
      return std::nullopt;
    }
    // At the end intervals no longer matter, only that everything is acknowledged.
    if (auto message = report_.Next(stopping_ ? absl::InfiniteFuture() : now)) {
      return message;
    }
    const absl::Time next = report_.connected() ? report_.NextTime() : hello_deadline;
    WaitUntil(&report_change_, &lock, stopping_ ? flush_until_ : next);
  }
  return std::nullopt;
}

void Hub::Interrupt() {
  // Taken so that a waiter is either before its test of `interrupted` or waiting.
  { std::scoped_lock lock(report_mutex_, plan_mutex_); }
  report_change_.notify_all();
  plan_change_.notify_all();
}

SubscriberHello Hub::PlanHello() {
  std::lock_guard lock(plan_mutex_);
  // Of the stream before; what still matters is asked for again.
  acks_.clear();
  unwritten_acks_.clear();
  subscribe_anew_ = false;
  return plans_.Hello();
}

void Hub::OnPlacement(Position position, Position base,
                      const std::function<absl::StatusOr<Plan>(const Plan* base)>& decode,
                      PlacementMode mode) {
  {
    std::lock_guard lock(plan_mutex_);
    CarryOut(plans_.OnPlacement(position, decode(plans_.Base(base)), mode));
    std::lock_guard report_lock(report_mutex_);
    for (const auto& plan : {plans_.in_force(), plans_.staging()}) {
      if (plan != nullptr) {
        report_.AddPlacement(*plan);
      }
    }
  }
  AnnouncePlans();
}

void Hub::OnGrouping(Position position, absl::StatusOr<Grouping> grouping, Position needs) {
  {
    std::lock_guard lock(plan_mutex_);
    CarryOut(plans_.OnGrouping(position, std::move(grouping), needs));
  }
  AnnouncePlans();
}

void Hub::OnDecision(const RolloutDecision& decision) {
  {
    std::lock_guard lock(plan_mutex_);
    CarryOut(plans_.OnDecision(decision));
  }
  AnnouncePlans();
}

void Hub::OnUpToDate(Position placement) {
  {
    std::lock_guard lock(plan_mutex_);
    CarryOut(plans_.OnUpToDate(placement));
  }
  AnnouncePlans();
}

void Hub::OnSubscribed() {
  std::lock_guard lock(plan_mutex_);
  subscribed_ = true;
}

void Hub::OnPlanEnd() {
  std::lock_guard lock(plan_mutex_);
  subscribed_ = false;
}

Hub::PlanOutput Hub::WaitAcks(absl::Time deadline, const std::function<bool()>& interrupted) {
  std::unique_lock lock(plan_mutex_);
  while (acks_.empty() && !subscribe_anew_ && !stopping_ && !interrupted() &&
         absl::Now() < deadline) {
    WaitUntil(&plan_change_, &lock, deadline);
  }
  PlanOutput out;
  out.acks.assign(acks_.begin(), acks_.end());
  out.subscribe_anew = subscribe_anew_;
  acks_.clear();
  return out;
}

void Hub::CarryOut(PlanEffects effects) {
  if (effects.store != nullptr) {
    unwritten_ = std::move(effects.store);
    write_change_.notify_one();
  }
  const bool disk_busy = unwritten_ != nullptr || writing_;
  for (PlanAck& ack : effects.acks) {
    if (ack.phase == AckPhase::kNack) {
      spdlog::warn("plan {} refused: {}", ToText(ack.position), ack.nack_message);
      std::erase_if(unwritten_acks_, [&](const PlanAck& waits) {
        return waits.subject == ack.subject && waits.position == ack.position;
      });
    }
    const bool at_once = ack.phase == AckPhase::kReceived || ack.phase == AckPhase::kNack;
    QueueAck(std::move(ack), disk_busy && !at_once ? &unwritten_acks_ : &acks_);
  }
  subscribe_anew_ = subscribe_anew_ || effects.subscribe_anew;
}

void Hub::QueueAck(PlanAck ack, std::deque<PlanAck>* queue) {
  if (queue->size() == kMaxAcks) {
    queue->pop_front();
  }
  queue->push_back(std::move(ack));
}

void Hub::WritePlans() {
  std::unique_lock lock(plan_mutex_);
  while (true) {
    write_change_.wait(lock, [&] { return unwritten_ != nullptr || destroyed_; });
    if (unwritten_ == nullptr) {
      return;
    }
    const std::shared_ptr<const Plan> plan = std::exchange(unwritten_, nullptr);
    writing_ = true;
    lock.unlock();
    const absl::Status status = store_(*plan);
    lock.lock();
    writing_ = false;
    if (unwritten_ == nullptr) {  // else the newer one decides
      OnWritten(*plan, status);
      plan_change_.notify_all();
    }
  }
}

void Hub::OnWritten(const Plan& plan, const absl::Status& status) {
  std::deque<PlanAck> acks = std::exchange(unwritten_acks_, {});
  if (status.ok()) {
    spdlog::info("plan {} in force, grouping {}", ToText(plan.position), plan.grouping.revision);
  } else {
    spdlog::error("plan {} could not be stored: {}", ToText(plan.position),
                  std::string(status.message()));
    std::erase_if(acks, [&](const PlanAck& ack) {
      return ack.subject == AckSubject::kPlacement && ack.position <= plan.position;
    });
    CarryOut(plans_.OnStoreFailed(plan, std::string(status.message())));
  }
  for (PlanAck& ack : acks) {
    QueueAck(std::move(ack), &acks_);
  }
}

void Hub::AnnouncePlans() {
  plan_change_.notify_all();
  for (const auto& listener : Listeners()) {
    listener->OnPlanChange();
  }
}

void Hub::Stop() {
  {
    std::scoped_lock lock(report_mutex_, plan_mutex_);
    stopping_ = true;
    flush_until_ = absl::Now() + kFlushTime;
  }
  report_change_.notify_all();
  plan_change_.notify_all();
  for (const auto& listener : Listeners()) {
    listener->OnStop();
  }
}

bool Hub::stopping() const {
  std::lock_guard lock(report_mutex_);
  return stopping_;
}

void Hub::WaitStop(absl::Time deadline) {
  std::unique_lock lock(plan_mutex_);
  while (!stopping_ && absl::Now() < deadline) {
    WaitUntil(&plan_change_, &lock, deadline);
  }
}

AgentStatus Hub::Status() const {
  AgentStatus out;
  std::scoped_lock lock(report_mutex_, plan_mutex_);
  out.reporting = report_.connected();
  out.subscribed = subscribed_;
  out.steps = report_.steps();
  out.tokens = report_.tokens();
  out.lost_steps = report_.lost_steps();
  out.frames = report_.frames();
  out.rejected_blocks = report_.rejected_blocks();
  out.refused_steps = refused_steps_;
  out.in_force = plans_.in_force() == nullptr ? Position{} : plans_.in_force()->position;
  out.staging = plans_.staging() == nullptr ? Position{} : plans_.staging()->position;
  out.watchers = static_cast<int>(listeners_.size());
  return out;
}

}  // namespace advisor::client
