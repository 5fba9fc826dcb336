#ifndef ADVISOR_CORE_ENGINE_OPTIONS_H_
#define ADVISOR_CORE_ENGINE_OPTIONS_H_

#include "core/policy/options.h"
#include "core/session/options.h"
#include "core/solver/solver.h"
#include "core/window/options.h"

namespace advisor {

struct DeploymentOptions {
  WindowOptions window;
  PolicyOptions policy;
  SessionOptions session;
  SolveParams solve;  // method, objective, effort, caps, seed; phase comes from the deployment
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_OPTIONS_H_
