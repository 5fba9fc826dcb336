#include "client/agent/watch.h"

#include <memory>
#include <utility>

namespace advisor::client {
namespace {

Position PositionOf(const std::shared_ptr<const Plan>& plan) {
  return plan == nullptr ? Position{} : plan->position;
}

PlacementUpdate Update(std::shared_ptr<const Plan> plan, PlacementMode mode) {
  return PlacementUpdate{std::move(plan), nullptr, mode};
}

}  // namespace

std::optional<Watch::Message> Watch::Next(const PlanSession& session) {
  const Position in_force = PositionOf(session.in_force());
  const Position staging = PositionOf(session.staging());
  if (staging_ != Position{} && staging_ != staging) {
    // What was being prepared is decided: it is what runs now, or it is gone.
    const bool commit = staging_ == in_force;
    RolloutDecision decision{std::exchange(staging_, Position{}), commit, ""};
    if (commit) {
      in_force_ = in_force;
    }
    return decision;
  }
  if (in_force_ != in_force && in_force != Position{}) {
    in_force_ = in_force;
    return Update(session.in_force(), PlacementMode::kInForce);
  }
  if (staging_ != staging) {
    staging_ = staging;
    return Update(session.staging(), PlacementMode::kPrepare);
  }
  if (const Position advisory = PositionOf(session.advisory());
      advisory_ != advisory && advisory > in_force) {
    advisory_ = advisory;
    return Update(session.advisory(), PlacementMode::kAdvisory);
  }
  if (session.grouping() != nullptr && grouping_ != session.grouping_position()) {
    grouping_ = session.grouping_position();
    return GroupingUpdate{session.grouping(), grouping_, session.grouping_needs()};
  }
  return std::nullopt;
}

}  // namespace advisor::client
