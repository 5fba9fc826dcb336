#ifndef ADVISOR_TESTS_SERVER_SUPPORT_SCRIPTED_MACHINE_H_
#define ADVISOR_TESTS_SERVER_SUPPORT_SCRIPTED_MACHINE_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "gtest/gtest.h"
#include "server/runtime/engine_loop.h"

namespace advisor::testing {

// Stands in for the engine: notes every event but Tick, and answers with what the test says. Must
// outlive the loop it is given to.
class ScriptedMachine {
 public:
  using Reaction = std::function<Effects(const Event&)>;

  explicit ScriptedMachine(Reaction reaction) : reaction_(std::move(reaction)) {}

  server::Machine machine() {
    return {[this](Event event, absl::Time) { return Step(std::move(event)); },
            [this] {
              std::lock_guard<std::mutex> lock(mutex_);
              return status_;
            }};
  }
  void set_status(EngineStatus status) {
    std::lock_guard<std::mutex> lock(mutex_);
    status_ = std::move(status);
  }
  // The next event of this kind that was not taken yet; events before it stay for others.
  template <typename Kind>
  Kind Take() {
    std::unique_lock<std::mutex> lock(mutex_);
    std::optional<Kind> taken;
    const bool found = arrived_.wait_for(lock, std::chrono::seconds(60), [&] {
      for (auto event = events_.begin(); event != events_.end(); ++event) {
        if (auto* kind = std::get_if<Kind>(&*event)) {
          taken = std::move(*kind);
          events_.erase(event);
          return true;
        }
      }
      return false;
    });
    EXPECT_TRUE(found) << "an event did not come";
    return found ? *std::move(taken) : Kind();
  }

 private:
  Effects Step(Event event) {
    Effects effects = reaction_(event);
    if (!std::holds_alternative<event::Tick>(event)) {
      std::lock_guard<std::mutex> lock(mutex_);
      events_.push_back(std::move(event));
      arrived_.notify_all();
    }
    return effects;
  }

  const Reaction reaction_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Event> events_;
  EngineStatus status_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SERVER_SUPPORT_SCRIPTED_MACHINE_H_
