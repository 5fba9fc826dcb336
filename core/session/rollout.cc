#include "core/session/rollout.h"

#include <algorithm>

#include "absl/strings/str_format.h"

namespace advisor {

void Rollout::Ask(const std::string& actor, const std::string& node, absl::Time now) {
  actors_[actor] = {node, Stage::kAsked};
  if (!preparing_since_.has_value()) {
    preparing_since_ = now;
  }
}

void Rollout::Staged(const std::string& actor) {
  const auto it = actors_.find(actor);
  if (it != actors_.end() && it->second.stage == Stage::kAsked) {
    it->second.stage = Stage::kStaged;
  }
}

void Rollout::Applied(const std::string& actor) {
  const auto it = actors_.find(actor);
  if (it != actors_.end()) {
    it->second.stage = Stage::kApplied;
  }
}

bool Rollout::AllStaged(const Topology& topology, std::string* why_not) const {
  bool whole_group = false;
  for (const auto& [id, actor] : actors_) {
    if (actor.stage == Stage::kAsked) {
      *why_not = absl::StrFormat("\"%s\" has not staged it", id);
      return false;
    }
    whole_group = whole_group || actor.node.empty();
  }
  for (const NodeSpec& node : topology.nodes()) {
    const bool spoken_for =
        whole_group || std::any_of(actors_.begin(), actors_.end(), [&](const auto& entry) {
          return entry.second.node == node.name;
        });
    if (!spoken_for) {
      *why_not = absl::StrFormat("no actor speaks for node \"%s\"", node.name);
      return false;
    }
  }
  return true;
}

void Rollout::Commit(absl::Time now) { committed_at_ = now; }

std::vector<std::string> Rollout::At(Stage stage) const {
  std::vector<std::string> ids;
  for (const auto& [id, actor] : actors_) {
    if (actor.stage == stage) {
      ids.push_back(id);
    }
  }
  return ids;
}

std::vector<std::string> Rollout::Actors() const {
  std::vector<std::string> ids;
  for (const auto& [id, actor] : actors_) {
    ids.push_back(id);
  }
  return ids;
}

bool Rollout::TimedOut(absl::Duration timeout, absl::Time now) const {
  const std::optional<absl::Time>& since = committed() ? committed_at_ : preparing_since_;
  return since.has_value() && now - *since > timeout;
}

}  // namespace advisor
