#include "core/solver/joint_schedule.h"

#include <algorithm>

namespace advisor {
namespace {

// Under a move budget the search stays near the plan in force.
constexpr AnnealSchedule kRepairSchedule = {0.0005, 0.00005, 1, 20};
// Temperatures as shares of what one expert's tokens weigh on the mean, which is what a move stirs.
// Hotter starts spend the work on moves that are undone later, colder ones settle too soon.
constexpr AnnealSchedule kFreshSchedule = {0.064, 0.001, 0.3, 20};
constexpr AnnealSchedule kWarmSchedule = {0.032, 0.001, 0.3, 20};
// Where every pair of slot and expert can be tried this often, swaps at random find what is worth
// having, and what they find holds a little better on other requests. Where it cannot, a proposal
// is the best of several.
constexpr double kManyTries = 6;
constexpr AnnealSchedule kScarceSchedule = {0.064, 0.004, 0.3, 20, 8};
constexpr AnnealSchedule kScarceWarmSchedule = {0.008, 0.002, 0.3, 20, 8};
// Where not even every second pair can be tried, what is stirred up stays so: nearly a descent
// saves more.
constexpr double kShortTries = 0.5;
constexpr AnnealSchedule kShortSchedule = {0.001, 0.001, 0.3, 20, 8};
// Engines that cover: the start is a plan already, and what is tried less than once stays near it.
constexpr double kCoverTries = 1;
constexpr AnnealSchedule kShortCoverSchedule = {0.004, 0.001, 0.3, 20};

// So often can every pair of slot and expert be tried.
double TriesOf(const Problem& problem, int64_t work) {
  return double(work) / (double(problem.topology.slot_count()) * problem.model.experts);
}

AnnealSchedule Finish(const Problem& problem, const SolveParams& params, AnnealSchedule schedule,
                      int64_t work) {
  if (Repairs(problem, params)) {
    schedule = kRepairSchedule;
  } else {
    const double expert = double(problem.model.top_k) / problem.model.experts;
    schedule.hot *= expert;
    schedule.cold *= expert;
  }
  if (params.objective != Objective::kInternodeBytes) {
    schedule.candidates = 1;  // estimates are of visits
  }
  if (params.objective == Objective::kBalance) {
    schedule.last_load_price = 100;
  }
  schedule.work = work;
  return schedule;
}

}  // namespace

Budget BudgetOf(Effort effort) {
  switch (effort) {
    case Effort::kQuick:
      return {1'500'000, 30, 4'000, 0.3, 1, 3, 0.5, 4};
    case Effort::kStandard:
      return {8'000'000, 150, 10'000, 0.2, 2, 5, 0.5, 6};
    case Effort::kThorough:
      return {60'000'000, 800, 40'000, 0.3, 4, 3, 0.5, 8};
  }
  return {};
}

bool Repairs(const Problem& problem, const SolveParams& params) {
  return problem.in_force.has_value() && params.max_moved_fraction < 1;
}

AnnealSchedule TableSchedule(const Problem& problem, const SolveParams& params, int pass,
                             int64_t work) {
  const double tries = TriesOf(problem, work);
  AnnealSchedule schedule = kShortSchedule;
  if (tries >= kManyTries) {
    schedule = pass == 0 ? kFreshSchedule : kWarmSchedule;
  } else if (tries >= kShortTries) {
    schedule = pass == 0 ? kScarceSchedule : kScarceWarmSchedule;
  }
  schedule.hot = std::max(schedule.cold, schedule.hot / std::max(1, pass));
  return Finish(problem, params, schedule, work);
}

AnnealSchedule CoverSchedule(const Problem& problem, const SolveParams& params, int64_t work) {
  const bool few = TriesOf(problem, work) < kCoverTries;
  return Finish(problem, params, few ? kShortCoverSchedule : kFreshSchedule, work);
}

}  // namespace advisor
