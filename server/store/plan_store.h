#ifndef ADVISOR_SERVER_STORE_PLAN_STORE_H_
#define ADVISOR_SERVER_STORE_PLAN_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/engine/event.h"

namespace advisor::server {

// What a store held for a deployment, with what it had to leave out.
struct LoadedDeployment {
  StoredDeployment stored;
  // One line per record that was lost or replaced by an older one.
  std::vector<std::string> damages;
};

// Where plans and operators' settings survive a restart. One daemon at a time writes; a store that
// several can reach refuses a write of an earlier term with ABORTED. Not thread-safe. An error of a
// write means that nothing of it is there.
class PlanStore {
 public:
  virtual ~PlanStore() = default;
  // Begins a new term, greater than that of anything stored, durably. Once, before the rest.
  virtual absl::StatusOr<uint64_t> BeginEpoch() = 0;
  // The newest records that pass their checks, newest last: as far back as whatever a daemon does
  // of itself reaches (see StoredDeployment).
  virtual absl::StatusOr<LoadedDeployment> Load(const std::string& deployment) = 0;
  // The records before those that Load() gave, newest last; with them at most as many as are kept.
  // Once after each Load(), before anything is stored.
  virtual LoadedDeployment LoadOlder(const std::string& deployment) = 0;
  // Returns when it is on disk. The same position again replaces all but the plan.
  virtual absl::Status StorePlan(const std::string& deployment, const PlanRecord& record) = 0;
  virtual absl::Status StoreState(const std::string& deployment, const DeploymentState& state) = 0;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_STORE_PLAN_STORE_H_
