#ifndef ADVISOR_CORE_SOLVER_JOINT_SCHEDULE_H_
#define ADVISOR_CORE_SOLVER_JOINT_SCHEDULE_H_

#include <cstdint>

#include "core/solver/layer_search.h"
#include "core/solver/solver.h"

namespace advisor {

// What an effort of joint may spend. Work units are those of layer_search.h.
struct Budget {
  int64_t work = 0;    // over all layers, for the one placement of a repair
  double tries = 0;    // of each pair of slot and expert, at most
  int max_tokens = 0;  // the search sees
  double round = 0;    // share of a layer's work that one placement of a start gets
  int kmeans_starts = 0;
  int passes = 0;        // over all layers, with re-homing in between
  double pass = 0;       // share of a layer's work that each gets
  int probe_layers = 0;  // layers that judge the starts
};
Budget BudgetOf(Effort effort);

// Whether the plan in force is the start and slots that move are counted.
bool Repairs(const Problem& problem, const SolveParams& params);

// How joint anneals one layer with so much work, for engines that follow the table. Pass 0 begins
// at one of the layer's starts, later ones at what was placed before, each with less heat.
AnnealSchedule TableSchedule(const Problem& problem, const SolveParams& params, int pass,
                             int64_t work);
// The same from a plan for the table, for engines that cover.
AnnealSchedule CoverSchedule(const Problem& problem, const SolveParams& params, int64_t work);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_JOINT_SCHEDULE_H_
