#ifndef ADVISOR_CORE_SESSION_ROLLOUT_H_
#define ADVISOR_CORE_SESSION_ROLLOUT_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "core/model/plan.h"
#include "core/model/topology.h"

namespace advisor {

// How one placement comes into force in an EP group: all actors stage it, then all switch.
//
//   waiting --first actor--> preparing --all staged--> committing --all applied--> done
//                               |  refusal, timeout                (not part of this class any
//                               more)
//                               v
//                            aborted
//
// "All" is every connected actor, and every node of the topology must have one: a node that nobody
// speaks for would run on with the old placement. An actor without a node speaks for the whole
// group. An actor that leaves takes its staging with it and counts again when it is back. Not
// thread-safe.
class Rollout {
 public:
  enum class Stage { kAsked, kStaged, kApplied };

  Rollout(Position position, uint64_t hash) : position_(position), hash_(hash) {}

  // An actor was sent PREPARE.
  void Ask(const std::string& actor, const std::string& node, absl::Time now);
  void Staged(const std::string& actor);
  void Applied(const std::string& actor);
  void Left(const std::string& actor) { actors_.erase(actor); }

  // May COMMIT be decided? `why_not` says who or what is missing.
  bool AllStaged(const Topology& topology, std::string* why_not) const;
  // COMMIT was decided and made durable.
  void Commit(absl::Time now);
  // Actors that have come so far and no further.
  std::vector<std::string> At(Stage stage) const;
  // Committed, and every actor has said that it is in force.
  bool Done() const { return committed() && At(Stage::kApplied).size() == actors_.size(); }

  const Position& position() const { return position_; }
  uint64_t hash() const { return hash_; }
  bool committed() const { return committed_at_.has_value(); }
  bool Has(const std::string& actor) const { return actors_.contains(actor); }
  std::vector<std::string> Actors() const;
  // Waited longer than `timeout` for staging, or for switching.
  bool TimedOut(absl::Duration timeout, absl::Time now) const;
  // Somebody was asked to stage and is not done: the next placement must wait.
  bool Running() const { return preparing_since_.has_value(); }

 private:
  struct Actor {
    std::string node;
    Stage stage = Stage::kAsked;
  };

  Position position_;
  uint64_t hash_;
  std::map<std::string, Actor> actors_;
  std::optional<absl::Time> preparing_since_, committed_at_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_SESSION_ROLLOUT_H_
