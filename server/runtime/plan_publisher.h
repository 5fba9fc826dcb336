#ifndef ADVISOR_SERVER_RUNTIME_PLAN_PUBLISHER_H_
#define ADVISOR_SERVER_RUNTIME_PLAN_PUBLISHER_H_

#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "core/session/messages.h"
#include "server/runtime/outbox.h"
#include "server/runtime/stream_table.h"

namespace advisor::server {

// Fans the engine's messages out to subscriber streams. A plan's body is encoded once and shared by
// all who get it (Body is reference-counted). Send() is for one thread, the rest for any.
template <typename Body>
class PlanPublisher {
 public:
  using Encode = std::function<Body(const SubscriberMessage&)>;

  PlanPublisher(Encode encode, size_t max_streams)
      : encode_(std::move(encode)), streams_(max_streams) {}

  StreamTable<Outbox<Body>>& streams() { return streams_; }
  const StreamTable<Outbox<Body>>& streams() const { return streams_; }

  void Send(StreamId id, const SubscriberMessage& message) {
    if (const auto stream = streams_.Find(id)) {
      stream->Send(KindOf(message), BodyOf(message));
    }
  }
  void End(StreamId id, const absl::Status& status) {
    if (const auto stream = streams_.Find(id)) {
      stream->End(status);
    }
  }
  void EndAll(const absl::Status& status) {
    for (const auto& stream : streams_.All()) {
      stream->End(status);
    }
  }
  // Ends the streams whose write in flight began before `cutoff`; returns how many.
  int EndStalled(absl::Time cutoff, const absl::Status& status) {
    int ended = 0;
    for (const auto& stream : streams_.All()) {
      ended += stream->EndIfStalled(cutoff, status);
    }
    return ended;
  }

 private:
  // Two messages of one identity have one encoding. The plans are held, so that an address is not
  // used again while it stands for a body here.
  struct Identity {
    size_t kind = 0;
    std::shared_ptr<const Plan> plan, base;
    PlacementMode mode = PlacementMode::kAdvisory;
    Position position, needs_placement;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  struct Encoded {
    Identity identity;
    Body body;
  };
  // Several deployments, each with placement and grouping, some deltas and modes.
  static constexpr size_t kKeptBodies = 32;
  static constexpr size_t kKinds = std::variant_size_v<SubscriberMessage>;

  // The latest of a kind replaces one that waits: advice must never replace what is in force.
  static int KindOf(const SubscriberMessage& message) {
    const auto* placement = std::get_if<PlacementUpdate>(&message);
    const int mode = placement == nullptr ? 0 : static_cast<int>(placement->mode);
    return static_cast<int>(message.index()) + static_cast<int>(kKinds) * mode;
  }

  Body BodyOf(const SubscriberMessage& message) {
    Identity identity;
    identity.kind = message.index();
    if (const auto* placement = std::get_if<PlacementUpdate>(&message)) {
      identity.plan = placement->plan;
      identity.base = placement->base;
      identity.mode = placement->mode;
    } else if (const auto* grouping = std::get_if<GroupingUpdate>(&message)) {
      identity.plan = grouping->plan;
      identity.position = grouping->position;
      identity.needs_placement = grouping->needs_placement;
    } else {
      return encode_(message);  // small, and different for each
    }
    for (const Encoded& encoded : encoded_) {
      if (encoded.identity == identity) {
        return encoded.body;
      }
    }
    encoded_.push_back({std::move(identity), encode_(message)});
    if (encoded_.size() > kKeptBodies) {
      encoded_.pop_front();
    }
    return encoded_.back().body;
  }

  const Encode encode_;
  StreamTable<Outbox<Body>> streams_;
  std::deque<Encoded> encoded_;  // oldest first; touched by Send() only
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_PLAN_PUBLISHER_H_
