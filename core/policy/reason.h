#ifndef ADVISOR_CORE_POLICY_REASON_H_
#define ADVISOR_CORE_POLICY_REASON_H_

namespace advisor {

// Why a plan was published, or was not. Numbers and names are those of advisor.v1.DecisionReason.
enum class DecisionReason {
  kNone = 0,
  kFirstPlan = 1,
  kDrift = 2,
  kTopologyChange = 3,
  kOperator = 4,
  kRollback = 5,
  kRollForward = 6,
  kPeriodic = 7,
  kGainBelowMoveCost = 20,
  kNoGain = 21,
  kSameContent = 22,
  kLowCoverage = 23,
  kTooLittleTraffic = 24,
  kCooldown = 25,
  kFrozen = 26,
  kStaleResult = 27,
  kSolverFailed = 28,
  kValidationFailed = 29,
  kQuarantined = 30,
  kStoreFailed = 31,
  kRolloutRunning = 32,
  kNoDrift = 33,
  kSwinging = 34,
};

constexpr bool IsPublish(DecisionReason reason) {
  return reason >= DecisionReason::kFirstPlan && reason <= DecisionReason::kPeriodic;
}

// "first_plan", "gain_below_move_cost", ...: as in plan files, metrics and explain.
const char* ToString(DecisionReason reason);

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_REASON_H_
