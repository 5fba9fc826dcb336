#ifndef ADVISOR_CORE_POLICY_JUDGEMENT_H_
#define ADVISOR_CORE_POLICY_JUDGEMENT_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "core/model/figures.h"
#include "core/model/plan.h"
#include "core/model/request.h"
#include "core/policy/options.h"
#include "core/policy/verdict.h"
#include "core/solver/solver.h"

namespace advisor {

// Figures of a plan on traffic that the solver has not seen, requests placed one by one by the
// plan's grouping. Unset: there is no such traffic.
absl::StatusOr<std::optional<Figures>> FiguresOn(const Plan& plan, const Traffic& holdout,
                                                 const SolveParams& params);
// The contract's baseline on the same.
absl::StatusOr<std::optional<Figures>> LinearFiguresOn(const Plan& plan, const Traffic& holdout,
                                                       const SolveParams& params);

// Slots of `next` that must be filled; against the linear placement where there is no plan to
// compare with (none, or one of another topology).
int64_t SlotsToFill(const Plan* in_force, const Plan& next);

// A solved plan before it is published.
struct Candidate {
  const Plan* plan = nullptr;
  const Plan* in_force = nullptr;           // what it would replace; null: the engines' initial one
  std::optional<Figures> figures;           // of `plan` on held-out traffic
  std::optional<Figures> figures_in_force;  // of `in_force`, or of the baseline, on the same
  Verdict due;                              // why it was solved
  bool quarantined = false;
  bool frozen = false;
  bool forced = false;  // an operator wants it whatever it gains
};

// Publish it, for which reason, or keep what is in force, and why. Pure arithmetic on what is
// given; bytes saved are counted over options.plan_life_tokens, moves at ModelSpec::expert_bytes
// each.
Verdict Judge(const Candidate& candidate, const SolveParams& params, const PolicyOptions& options);

}  // namespace advisor

#endif  // ADVISOR_CORE_POLICY_JUDGEMENT_H_
