#ifndef ADVISOR_CORE_SOLVER_JOINT_SCHEDULE_H_
#define ADVISOR_CORE_SOLVER_JOINT_SCHEDULE_H_

#include <cstdint>

#include "core/solver/layer_search.h"
#include "core/solver/solver.h"

namespace advisor {

// What an effort of joint may spend. Work units are those of layer_search.h.
struct Budget {
  int64_t work = 0;    // over all layers, for the last placement
  double tries = 0;    // of each pair of slot and expert, at most
  int max_tokens = 0;  // the search sees
  double round = 0;    // share of a layer's work that one placement on the way gets
  int kmeans_starts = 0;
  int rounds = 0;        // of {place, re-home} before the last placement
  int probe_layers = 0;  // layers that judge the starts
};
Budget BudgetOf(Effort effort);

// Whether the plan in force is the start and slots that move are counted.
bool Repairs(const Problem& problem, const SolveParams& params);

// Where the search of a layer begins: at one of its starts, or at what was placed before.
enum class From { kScratch, kDraft };

// How joint anneals one layer with so much work, for engines that follow the table.
AnnealSchedule TableSchedule(const Problem& problem, const SolveParams& params, From from,
                             int64_t work);
// The same from a plan for the table, for engines that cover.
AnnealSchedule CoverSchedule(const Problem& problem, const SolveParams& params, int64_t work);

}  // namespace advisor

#endif  // ADVISOR_CORE_SOLVER_JOINT_SCHEDULE_H_
