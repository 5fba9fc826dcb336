#ifndef ADVISOR_CORE_SOLVER_LOAD_CAPS_H_
#define ADVISOR_CORE_SOLVER_LOAD_CAPS_H_

#include "core/solver/solver.h"

namespace advisor {

// Largest load of a layer over the mean.
struct LoadCaps {
  double node = 0, gpu = 0;
};

// The caps asked for; where both phases are served, no looser than what keeps either phase below
// the loads that the linear placement has in it.
LoadCaps LoadCapsOf(const Problem& problem, const SolveParams& params, ParallelFor& parallel);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_LOAD_CAPS_H_
