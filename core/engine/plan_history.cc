#include "core/engine/plan_history.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace advisor {

void PlanHistory::Add(PlanRecord record) {
  records_.push_back(std::move(record));
  const PlanRecord* in_force = InForce();
  const Position keep = in_force == nullptr ? Position{} : in_force->plan->position;
  for (auto it = records_.begin();
       records_.size() > static_cast<size_t>(kept_) && it + 1 != records_.end();) {
    it = it->plan->position == keep ? it + 1 : records_.erase(it);
  }
}

void PlanHistory::AddOlder(std::vector<PlanRecord> records) {
  const size_t room = static_cast<size_t>(kept_) - std::min<size_t>(kept_, records_.size());
  const size_t taken = std::min(room, records.size());
  records_.insert(records_.begin(), std::make_move_iterator(records.end() - taken),
                  std::make_move_iterator(records.end()));
}

void PlanHistory::MarkCommitted(const Position& position) {
  for (PlanRecord& record : records_) {
    record.committed = record.committed || record.plan->position == position;
  }
}

void PlanHistory::MarkQuarantined(uint64_t content_hash) {
  for (PlanRecord& record : records_) {
    record.quarantined = record.quarantined || record.content_hash == content_hash;
  }
}

void PlanHistory::SetMeasuredSaving(const Position& position, double saving) {
  for (PlanRecord& record : records_) {
    if (record.plan->position == position) {
      record.measured_saving = saving;
    }
  }
}

const PlanRecord* PlanHistory::Find(const Position& position) const {
  const auto it = std::find_if(records_.begin(), records_.end(), [&](const PlanRecord& record) {
    return record.plan->position == position;
  });
  return it == records_.end() ? nullptr : &*it;
}

const PlanRecord* PlanHistory::LatestAdvice() const {
  const auto it = std::find_if(records_.rbegin(), records_.rend(),
                               [](const PlanRecord& record) { return !record.quarantined; });
  return it == records_.rend() ? nullptr : &*it;
}

const PlanRecord* PlanHistory::InForce() const {
  const auto it = std::find_if(records_.rbegin(), records_.rend(),
                               [](const PlanRecord& record) { return record.committed; });
  return it == records_.rend() ? nullptr : &*it;
}

const PlanRecord* PlanHistory::LastBefore(const Position& position, bool committed) const {
  const PlanRecord* present = Find(position);
  const auto it = std::find_if(records_.rbegin(), records_.rend(), [&](const PlanRecord& record) {
    return record.plan->position < position && !record.quarantined &&
           (record.committed || !committed) &&
           (present == nullptr || record.content_hash != present->content_hash);
  });
  return it == records_.rend() ? nullptr : &*it;
}

const PlanRecord* PlanHistory::CommittedBefore(const Position& position) const {
  return LastBefore(position, true);
}

const PlanRecord* PlanHistory::Before(const Position& position) const {
  return LastBefore(position, false);
}

}  // namespace advisor
