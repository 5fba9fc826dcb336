#include "server/runtime/engine_loop.h"

#include <chrono>
#include <future>
#include <utility>
#include <vector>

namespace advisor::server {
namespace {

size_t BytesOf(const Frame& frame) {
  size_t bytes = sizeof(Frame);
  for (const ReportBlock& block : frame.blocks) {
    bytes += sizeof(block) + block.domain.size() + block.counts.data.size();
  }
  for (const SampledRequest& sample : frame.samples) {
    bytes += sizeof(sample) + sample.domain.size() + sample.experts.size();
  }
  return bytes;
}

struct Admission {
  Lane lane;
  size_t bytes = 0;
};

Admission AdmissionOf(const Event& event) {
  if (const auto* frame = std::get_if<event::ReporterFrame>(&event)) {
    return {Lane::kReports, BytesOf(frame->frame)};
  }
  if (const auto* window = std::get_if<event::ReporterWindow>(&event)) {
    Admission admission{Lane::kReports};
    for (const Frame& bucket : window->window.buckets) {
      admission.bytes += BytesOf(bucket);
    }
    return admission;
  }
  const bool answers = std::holds_alternative<event::Start>(event) ||
                       std::holds_alternative<event::AddDeployment>(event) ||
                       std::holds_alternative<event::OlderPlans>(event) ||
                       std::holds_alternative<event::ReporterGap>(event) ||
                       std::holds_alternative<event::ReporterClosed>(event) ||
                       std::holds_alternative<event::SubscriberClosed>(event) ||
                       std::holds_alternative<event::SolveDone>(event) ||
                       std::holds_alternative<event::PlanStored>(event);
  return {answers ? Lane::kInternal : Lane::kControl};
}

}  // namespace

EngineLoop::EngineLoop(Machine machine, const Clock& clock, std::function<void(Effect)> carry_out,
                       std::function<void(absl::Time)> on_tick, EngineLoopOptions options)
    : machine_(std::move(machine)),
      clock_(clock),
      carry_out_(std::move(carry_out)),
      on_tick_(std::move(on_tick)),
      options_(options),
      mailbox_(options.mailbox) {}

EngineLoop::~EngineLoop() { Stop(); }

void EngineLoop::Start() {
  thread_ = std::thread([this] { Run(); });
}

bool EngineLoop::Post(Event event) {
  if (std::holds_alternative<event::ReporterFrame>(event)) {
    return PostFrame(std::move(event));
  }
  const Admission admission = AdmissionOf(event);
  return mailbox_.Push(admission.lane, admission.bytes, std::move(event));
}

// Wakes nobody, for whoever has the engine looks into the mailbox once more behind it.
bool EngineLoop::PostFrame(Event event) {
  if (!StepAtOnce(event)) {
    const Admission admission = AdmissionOf(event);
    if (!mailbox_.Push(admission.lane, admission.bytes, std::move(event), !running_)) {
      return false;
    }
  }
  std::vector<Task> tasks;
  for (int round = 0; running_ && mailbox_.HasWaiting(); ++round) {
    if (round == kMostRounds) {
      mailbox_.Wake();
      break;
    }
    std::unique_lock<std::mutex> lock(engine_, std::defer_lock);
    if (loop_waits_ || !lock.try_lock()) {
      break;
    }
    if (mailbox_.Take(&tasks)) {
      WorkOff(&tasks, clock_.Now());
    }
  }
  return true;
}

bool EngineLoop::Ask(Query query) { return mailbox_.Push(Lane::kControl, 0, std::move(query)); }

absl::StatusOr<std::shared_ptr<const EngineStatus>> EngineLoop::Status(
    std::chrono::milliseconds patience) {
  // Shared: the answer may come after the asker has lost patience.
  auto answer = std::make_shared<std::promise<std::shared_ptr<const EngineStatus>>>();
  auto future = answer->get_future();
  if (!Ask([answer](std::shared_ptr<const EngineStatus> status) {
        answer->set_value(std::move(status));
      })) {
    return absl::UnavailableError("the decision loop is overloaded or stops; try again");
  }
  if (future.wait_for(patience) != std::future_status::ready) {
    return absl::UnavailableError("the decision loop does not answer in time; try again");
  }
  return future.get();
}

void EngineLoop::Stop() {
  mailbox_.Close();
  if (thread_.joinable()) {
    thread_.join();
  }
}

// What waits came before: with the engine in hand and an empty mailbox, nothing is overtaken.
bool EngineLoop::StepAtOnce(Event& event) {
  std::unique_lock<std::mutex> lock(engine_, std::defer_lock);
  if (!running_ || loop_waits_ || !lock.try_lock() || !mailbox_.IsIdle()) {
    return false;
  }
  Step(std::move(event), clock_.Now());
  return true;
}

void EngineLoop::Step(Event event, absl::Time now) {
  for (Effect& effect : machine_.step(std::move(event), now)) {
    carry_out_(std::move(effect));
  }
}

void EngineLoop::WorkOff(std::vector<Task>* tasks, absl::Time now) {
  std::shared_ptr<const EngineStatus> status;  // shared by the queries between two events
  for (Task& task : *tasks) {
    if (auto* event = std::get_if<Event>(&task)) {
      status.reset();
      Step(std::move(*event), now);
    } else {
      if (status == nullptr) {
        status = std::make_shared<const EngineStatus>(machine_.status());
      }
      std::get<Query>(task)(status);
    }
  }
}

void EngineLoop::Run() {
  const auto tick = absl::ToChronoNanoseconds(options_.tick);
  auto next_tick = std::chrono::steady_clock::now() + tick;
  std::vector<Task> tasks;
  std::unique_lock<std::mutex> lock(engine_);
  running_ = true;
  while (mailbox_.Take(&tasks)) {
    // One time for all that was taken out of the mailbox at once, and for the tick after it: what
    // came later is not known yet, and must not be judged as if it had not come.
    const absl::Time now = clock_.Now();
    WorkOff(&tasks, now);
    if (std::chrono::steady_clock::now() >= next_tick) {
      Step(event::Tick{}, now);
      on_tick_(now);
      next_tick = std::chrono::steady_clock::now() + tick;
    }
    lock.unlock();
    mailbox_.Wait(next_tick);
    loop_waits_ = true;
    lock.lock();
    loop_waits_ = false;
  }
}

}  // namespace advisor::server
