#ifndef ADVISOR_TESTS_SIM_PLANTED_BUGS_H_
#define ADVISOR_TESTS_SIM_PLANTED_BUGS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "core/engine/engine.h"
#include "tests/sim/world.h"

// Mistakes that a daemon could make, put around a sound engine: what it is told, or what it tells,
// is changed as if a check or a step were missing. The property checker must find each.
namespace advisor::testing::bug {

// Takes every PREPARE for staged once it is sent.
inline World::Step CommitsWithoutStaging() {
  return [](Engine& engine, Event event, absl::Time now) {
    Effects effects = engine.Step(std::move(event), now);
    for (size_t i = 0; i < effects.size(); ++i) {  // grows on the way
      const auto* sent = std::get_if<effect::SendSubscriber>(&effects[i]);
      const auto* update = sent == nullptr ? nullptr : std::get_if<PlacementUpdate>(&sent->message);
      if (update == nullptr || update->mode != PlacementMode::kPrepare) {
        continue;
      }
      PlanAck ack;
      ack.position = update->plan->position;
      ack.phase = AckPhase::kStaged;
      Effects more = engine.Step(event::SubscriberAcked{sent->stream, std::move(ack)}, now);
      effects.insert(effects.end(), more.begin(), more.end());
    }
    return effects;
  };
}

// Writes nothing of the chosen records, and says that they are stored.
inline World::Step SkipsWrites(std::function<bool(const PlanRecord&)> skips) {
  return [skips = std::move(skips)](Engine& engine, Event event, absl::Time now) {
    Effects effects = engine.Step(std::move(event), now);
    Effects kept;
    for (size_t i = 0; i < effects.size(); ++i) {
      const auto* write = std::get_if<effect::StorePlan>(&effects[i]);
      if (write == nullptr || !skips(write->record)) {
        kept.push_back(effects[i]);
        continue;
      }
      Effects more = engine.Step(
          event::PlanStored{write->deployment, write->record.plan->position, absl::OkStatus()},
          now);
      effects.insert(effects.end(), more.begin(), more.end());
    }
    return kept;
  };
}

// Starts numbering anew with every process.
inline World::Step ReusesPositions() {
  return [](Engine& engine, Event event, absl::Time now) {
    if (auto* start = std::get_if<event::Start>(&event)) {
      start->epoch = 1;
    } else if (auto* added = std::get_if<event::AddDeployment>(&event)) {
      added->stored.records.clear();
    }
    return engine.Step(std::move(event), now);
  };
}

// Believes a frame's steps twice.
inline World::Step CountsTwice() {
  return [](Engine& engine, Event event, absl::Time now) {
    if (auto* frame = std::get_if<event::ReporterFrame>(&event)) {
      frame->frame.steps *= 2;
    }
    return engine.Step(std::move(event), now);
  };
}

// Does not book what agents say is lost.
inline World::Step HidesLostSteps() {
  return [](Engine& engine, Event event, absl::Time now) {
    if (auto* frame = std::get_if<event::ReporterFrame>(&event)) {
      frame->frame.lost_steps = 0;
    }
    return engine.Step(std::move(event), now);
  };
}

// Takes a NACK for STAGED.
inline World::Step TakesRefusalsForStaged() {
  return [](Engine& engine, Event event, absl::Time now) {
    if (auto* acked = std::get_if<event::SubscriberAcked>(&event)) {
      if (acked->ack.phase == AckPhase::kNack) {
        acked->ack.phase = AckPhase::kStaged;
      }
    }
    return engine.Step(std::move(event), now);
  };
}

}  // namespace advisor::testing::bug

#endif  // ADVISOR_TESTS_SIM_PLANTED_BUGS_H_
