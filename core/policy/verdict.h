#ifndef ADVISOR_CORE_POLICY_VERDICT_H_
#define ADVISOR_CORE_POLICY_VERDICT_H_

#include <string>

#include "core/policy/reason.h"

namespace advisor {

// A decision with the numbers behind it, one line. IsPublish(reason): go ahead, for that reason.
struct Verdict {
  DecisionReason reason = DecisionReason::kNone;
  std::string detail;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_VERDICT_H_
