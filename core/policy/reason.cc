#include "core/policy/reason.h"

namespace advisor {

const char* ToString(DecisionReason reason) {
  switch (reason) {
    case DecisionReason::kNone:
      return "none";
    case DecisionReason::kFirstPlan:
      return "first_plan";
    case DecisionReason::kDrift:
      return "drift";
    case DecisionReason::kTopologyChange:
      return "topology_change";
    case DecisionReason::kOperator:
      return "operator";
    case DecisionReason::kRollback:
      return "rollback";
    case DecisionReason::kRollForward:
      return "roll_forward";
    case DecisionReason::kPeriodic:
      return "periodic";
    case DecisionReason::kGainBelowMoveCost:
      return "gain_below_move_cost";
    case DecisionReason::kNoGain:
      return "no_gain";
    case DecisionReason::kSameContent:
      return "same_content";
    case DecisionReason::kLowCoverage:
      return "low_coverage";
    case DecisionReason::kTooLittleTraffic:
      return "too_little_traffic";
    case DecisionReason::kCooldown:
      return "cooldown";
    case DecisionReason::kFrozen:
      return "frozen";
    case DecisionReason::kStaleResult:
      return "stale_result";
    case DecisionReason::kSolverFailed:
      return "solver_failed";
    case DecisionReason::kValidationFailed:
      return "validation_failed";
    case DecisionReason::kQuarantined:
      return "quarantined";
    case DecisionReason::kStoreFailed:
      return "store_failed";
    case DecisionReason::kRolloutRunning:
      return "rollout_running";
    case DecisionReason::kNoDrift:
      return "no_drift";
    case DecisionReason::kSwinging:
      return "swinging";
  }
  return "unknown";
}

}  // namespace advisor
