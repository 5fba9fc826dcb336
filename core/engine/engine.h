#ifndef ADVISOR_CORE_ENGINE_ENGINE_H_
#define ADVISOR_CORE_ENGINE_ENGINE_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "core/engine/effect.h"
#include "core/engine/event.h"
#include "core/engine/status.h"

namespace advisor {

// The control plane as a state machine: everything the daemon decides, and nothing it does.
//
// Step() is the only way in: the same events, times and seeds give the same effects, byte for byte.
// Time comes from the caller, never goes back (a smaller `now` is clamped) and judges liveness and
// pacing only; windows are ordered by sequences. Effects are carried out by the caller in order.
// Not thread-safe: one thread owns it.
class Engine {
 public:
  Engine();
  ~Engine();

  Effects Step(Event event, absl::Time now);
  EngineStatus Status() const;

 private:
  struct Rep;
  std::unique_ptr<Rep> rep_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_ENGINE_H_
