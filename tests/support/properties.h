#ifndef ADVISOR_TESTS_SUPPORT_PROPERTIES_H_
#define ADVISOR_TESTS_SUPPORT_PROPERTIES_H_

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/model/plan.h"
#include "tests/support/history.h"

namespace advisor::testing {

// Judges a history by what the protocol promises, knowing nothing of how the daemon works:
//  - a position is used for one content, and the store's positions grow;
//  - nothing is sent that is not durable, and nobody is told to switch to what is not committed;
//  - at every client positions of each kind never fall, and a delta has a base that it holds;
//  - what an engine runs is valid: it fits every GPU and has a copy of every expert;
//  - a placement is committed only when an actor of every node has staged it, and engines run only
//    what was committed, so that a group never mixes placements but while it switches;
//  - content in quarantine is not published again;
//  - a step is counted at most once, and lost steps are those that were stated.
class PropertyChecker {
 public:
  static std::vector<std::string> Violations(const History& history) {
    PropertyChecker checker;
    for (const Seen& one : history) {
      std::visit([&](const auto& s) { checker.See(s); }, one);
    }
    return std::move(checker.violations_);
  }

 private:
  struct Client {
    std::shared_ptr<const Plan> runs, staged, advice;
    Position grouping;
  };

  void Expect(bool holds, const std::string& violation) {
    if (!holds) {
      violations_.push_back(violation);
    }
  }
  static std::string Name(const Position& p) { return absl::StrCat(p.epoch, ".", p.revision); }
  static Position PositionOf(const std::shared_ptr<const Plan>& plan) {
    return plan == nullptr ? Position{} : plan->position;
  }

  void See(const seen::WriteAsked& asked) {
    const PlanRecord& record = asked.record;
    const bool is_new = asked_.insert(record.plan->position).second;  // else only its flags change
    Expect(!is_new || !quarantine_.contains(record.content_hash),
           absl::StrCat(Name(record.plan->position), " is published though quarantined"));
  }
  void See(const seen::Durable& durable) {
    const PlanRecord& record = durable.record;
    const Position position = record.plan->position;
    const auto [known, is_new] = contents_.emplace(position, record.content_hash);
    Expect(is_new || known->second == record.content_hash,
           absl::StrCat(Name(position), " is used twice"));
    Expect(!is_new || known == std::prev(contents_.end()),
           absl::StrCat(Name(position), " is stored after a greater position"));
    if (record.committed && committed_.insert(position).second) {
      for (const NodeSpec& node : record.plan->topology.nodes()) {
        Expect(staged_[position].contains(node.name) || staged_[position].contains(""),
               absl::StrCat(Name(position), " is committed, not staged on ", node.name));
      }
    }
  }
  void See(const seen::StateDurable& durable) {
    const std::vector<uint64_t>& hashes = durable.state.quarantined_hashes;
    quarantine_ = std::set<uint64_t>(hashes.begin(), hashes.end());
  }
  void See(const seen::GroupingUsed& used) {
    Expect(committed_.contains(used.placement),
           absl::StrCat("requests are assigned by ", Name(used.placement), ", not committed"));
  }
  void See(const seen::Sent& sent) {
    if (const auto* update = std::get_if<PlacementUpdate>(&sent.message)) {
      ExpectDurable(update->plan->position, update->mode == PlacementMode::kInForce);
    } else if (const auto* grouping = std::get_if<GroupingUpdate>(&sent.message)) {
      ExpectDurable(grouping->needs_placement, true);
    } else if (const auto* decision = std::get_if<RolloutDecision>(&sent.message)) {
      ExpectDurable(decision->position, decision->commit);
    }
  }
  void See(const seen::Read& read) {
    Client& client = clients_[read.client];
    const Client before = client;
    std::visit([&](const auto& m) { Take(read.client, client, m); }, read.message);
    if (read.refused) {
      client = before;
    }
  }
  void See(const seen::Acked& acked) {
    if (acked.ack.phase == AckPhase::kStaged || acked.ack.phase == AckPhase::kDeferred) {
      staged_[acked.ack.position].insert(acked.node);
    }
  }
  void See(const seen::Runs& runs) {
    Client& client = clients_[runs.client];
    const Position position = PositionOf(runs.plan);
    Expect(committed_.contains(position),
           absl::StrCat(runs.client, " runs ", Name(position), ", not committed"));
    Expect(position > PositionOf(client.runs),
           absl::StrCat(runs.client, " went from ", Name(PositionOf(client.runs)), " to ",
                        Name(position)));
    if (runs.plan != nullptr) {
      const absl::Status valid = Validate(*runs.plan);
      Expect(valid.ok(), absl::StrCat(runs.client, " runs an invalid plan: ", valid.ToString()));
    }
    client.runs = runs.plan;
    client.staged = nullptr;
  }
  void See(const seen::Counted& counted) {
    Expect(counted.steps <= counted.steps_made,
           absl::StrCat(counted.reporter, ": counted ", counted.steps, " steps of ",
                        counted.steps_made));
    Expect(counted.rejected_blocks == 0,
           absl::StrCat(counted.reporter, ": sound blocks were rejected"));
    if (counted.settled) {
      Expect(counted.steps == counted.steps_made,
             absl::StrCat(counted.reporter, ": only ", counted.steps, " steps counted of ",
                          counted.steps_made));
      Expect(counted.lost_steps == counted.lost_steps_stated,
             absl::StrCat(counted.reporter, ": ", counted.lost_steps, " lost steps told, ",
                          counted.lost_steps_stated, " stated"));
    }
  }

  void Take(const std::string&, Client&, const UpToDate&) {}
  void Take(const std::string&, Client&, const Progress&) {}
  void Take(const std::string& name, Client& client, const PlacementUpdate& update) {
    const Position position = update.plan->position;
    Expect(position >= PositionOf(client.runs),
           absl::StrCat(name, " was sent ", Name(position), ", below what it runs"));
    if (update.base != nullptr) {
      const Position base = update.base->position;
      Expect(base == PositionOf(client.runs) || base == PositionOf(client.advice),
             absl::StrCat(name, " was sent a delta on ", Name(base), ", which it does not hold"));
    }
    if (update.mode == PlacementMode::kAdvisory) {
      Expect(position >= PositionOf(client.advice),
             absl::StrCat(name, ": advice fell to ", Name(position)));
      client.advice = update.plan;
    } else if (update.mode == PlacementMode::kInForce) {
      client.staged = nullptr;
    } else {
      client.staged = update.plan;
    }
  }
  void Take(const std::string& name, Client& client, const RolloutDecision& decision) {
    if (decision.commit) {
      Expect(decision.position == PositionOf(client.staged) ||
                 decision.position == PositionOf(client.runs),
             absl::StrCat(name, " was told to switch to ", Name(decision.position),
                          ", which it was not asked to stage"));
    } else {
      Expect(decision.position != PositionOf(client.runs),
             absl::StrCat(name, ": ", Name(decision.position), " runs and was aborted"));
    }
  }
  void Take(const std::string& name, Client& client, const GroupingUpdate& update) {
    Expect(update.position > client.grouping,
           absl::StrCat(name, ": a grouping fell to ", Name(update.position)));
    client.grouping = update.position;
  }
  void ExpectDurable(const Position& position, bool committed) {
    Expect(contents_.contains(position),
           absl::StrCat(Name(position), " was sent before it was durable"));
    Expect(!committed || committed_.contains(position),
           absl::StrCat(Name(position), " was sent to be run, not committed"));
  }

  std::vector<std::string> violations_;
  std::map<Position, uint64_t> contents_;  // hash of what is durable
  std::set<Position> asked_, committed_;
  std::map<Position, std::set<std::string>> staged_;  // nodes whose actor said so; "": all
  std::set<uint64_t> quarantine_;
  std::map<std::string, Client> clients_;
};

}  // namespace advisor::testing

#endif  // ADVISOR_TESTS_SUPPORT_PROPERTIES_H_
