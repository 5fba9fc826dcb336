#ifndef ADVISOR_SERVER_RUNTIME_ENGINE_LOOP_H_
#define ADVISOR_SERVER_RUNTIME_ENGINE_LOOP_H_

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/engine/effect.h"
#include "core/engine/event.h"
#include "core/engine/status.h"
#include "server/runtime/clock.h"
#include "server/runtime/mailbox.h"

namespace advisor::server {

// The state machine that a loop drives: core/engine's Engine, or a script in tests.
struct Machine {
  std::function<Effects(Event, absl::Time)> step;
  std::function<EngineStatus()> status;
};

// Gets the engine's state, on the engine thread; must not block.
using Query = std::function<void(std::shared_ptr<const EngineStatus>)>;

struct EngineLoopOptions {
  MailboxLimits mailbox;
  absl::Duration tick = absl::Milliseconds(100);
};

// Owns the engine: takes events in order, carries out their effects, ticks. One at a time has the
// engine: the loop's thread, or one that posts a frame. Such a one steps its frame there and then
// while nothing waits, with the frame still in its caches; else it leaves it in the mailbox, and
// whoever has the engine works that off as well: to wake the loop's thread takes longer than a
// frame.
class EngineLoop {
 public:
  // `carry_out` runs where the engine steps, `on_tick` on the loop's thread; both must not block.
  EngineLoop(Machine machine, const Clock& clock, std::function<void(Effect)> carry_out,
             std::function<void(absl::Time)> on_tick, EngineLoopOptions options);
  ~EngineLoop();  // Stop()

  void Start();
  // Thread-safe. False: refused, the mailbox is full or closed; see Lane. Events of one thread are
  // taken in its order. A frame may be stepped, and its effects carried out, before this returns.
  bool Post(Event event);
  bool Ask(Query query);
  // Asks and waits; not for the engine thread. UNAVAILABLE: refused, or `patience` is over.
  absl::StatusOr<std::shared_ptr<const EngineStatus>> Status(
      std::chrono::milliseconds patience = std::chrono::seconds(5));
  // Takes nothing new, but for answers to what the engine asked for.
  void Close() { mailbox_.Close(); }
  // Close(), works off what waits, and joins the thread.
  void Stop();

  std::array<uint64_t, kLanes> refused() const { return mailbox_.refused(); }

 private:
  // How often one that posts a frame works off what others posted meanwhile, before it wakes the
  // loop's thread for the rest.
  static constexpr int kMostRounds = 4;

  using Task = std::variant<Event, Query>;
  void Run();
  bool PostFrame(Event event);
  bool StepAtOnce(Event& event);
  void Step(Event event, absl::Time now);
  void WorkOff(std::vector<Task>* tasks, absl::Time now);

  Machine machine_;
  const Clock& clock_;
  const std::function<void(Effect)> carry_out_;
  const std::function<void(absl::Time)> on_tick_;
  const EngineLoopOptions options_;
  Mailbox<Task> mailbox_;
  std::mutex engine_;                    // held by whoever steps
  std::atomic<bool> running_{false};     // Run() has begun
  std::atomic<bool> loop_waits_{false};  // for the engine: others stand back
  std::thread thread_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_ENGINE_LOOP_H_
