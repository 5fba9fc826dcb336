#ifndef ADVISOR_CORE_ENGINE_PLAN_HISTORY_H_
#define ADVISOR_CORE_ENGINE_PLAN_HISTORY_H_

#include <cstdint>
#include <vector>

#include "core/engine/event.h"

namespace advisor {

// The durable plans of one deployment that are still kept, by rising position. The one in force and
// the latest are always among them.
class PlanHistory {
 public:
  explicit PlanHistory(int kept) : kept_(kept) {}

  void Add(PlanRecord record);
  // Records older than all there are, newest last; as many of the newest as there is room for.
  void AddOlder(std::vector<PlanRecord> records);
  void MarkCommitted(const Position& position);
  void MarkQuarantined(uint64_t content_hash);
  void SetMeasuredSaving(const Position& position, double saving);

  const PlanRecord* Find(const Position& position) const;
  // The latest published; null: none.
  const PlanRecord* Latest() const { return records_.empty() ? nullptr : &records_.back(); }
  // The latest whose content no engine has refused.
  const PlanRecord* LatestAdvice() const;
  // The latest committed: what engines run.
  const PlanRecord* InForce() const;
  // The latest committed before `position` with other content, not quarantined: what to go back to.
  const PlanRecord* CommittedBefore(const Position& position) const;
  // The latest before `position`, not quarantined, of other content.
  const PlanRecord* Before(const Position& position) const;
  const std::vector<PlanRecord>& records() const { return records_; }

 private:
  const PlanRecord* LastBefore(const Position& position, bool committed) const;

  int kept_;
  std::vector<PlanRecord> records_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_PLAN_HISTORY_H_
