#ifndef ADVISOR_CORE_ENGINE_PLANNER_H_
#define ADVISOR_CORE_ENGINE_PLANNER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/engine/ingest.h"
#include "core/engine/journal.h"
#include "core/engine/options.h"
#include "core/engine/publisher.h"
#include "core/model/deployment.h"
#include "core/policy/drift_history.h"
#include "core/policy/regression_watch.h"
#include "core/policy/solve_trigger.h"
#include "core/window/statistics.h"

namespace advisor {

// Decides for one deployment when to solve, whether a result is published, and when to go back.
// At most one solve is under way. A result counts only if the topology and the plan it was to
// replace are still what they were.
class Planner {
 public:
  // The references must outlive it. `next_ticket` is shared by all deployments.
  Planner(const Deployment& deployment, const DeploymentOptions& options, Journal& journal,
          const Ingest& ingest, Publisher& publisher, uint64_t& next_ticket);

  void Tick(Turn& turn);
  void SolveNow(const event::SolveNow& command, Turn& turn);
  void Rollback(const event::Rollback& command, Turn& turn);
  void Done(const event::SolveDone& done, Turn& turn);
  void Measured(const MeasuredVisits& visits, Turn& turn);
  void TopologyChanged(Turn& turn);
  void FrozenChanged(Turn& turn);
  // Advice becomes what engines act on.
  void ModeChanged(Turn& turn);

  void FillStatus(DeploymentStatus* status) const;

 private:
  // Statistics touch every cell of the window: at most so often, rarer for large windows, and so
  // much in a tick, or frames would wait for it.
  static constexpr absl::Duration kStatisticsInterval = absl::Milliseconds(500);
  static constexpr double kStatisticsBytesPerSecond = 150e6;
  static constexpr uint64_t kStatisticsBytesPerTick = 16u << 20;

  struct Solve {
    SolveTicket ticket;
    Verdict due;
    std::shared_ptr<const Traffic> holdout;
    std::shared_ptr<const Plan> reference;  // null: the engines' initial placement
    bool advice = false;
    bool forced = false;
    std::optional<CommandId> command;
    absl::Time started;
  };

  void UpdateStatistics(absl::Time now);
  void UpdateOutliers(Turn& turn);
  void UpdateCoverage(absl::Time now);
  bool AdviceOnly() const;
  SolveConditions Conditions(absl::Time now) const;
  void Start(Verdict due, bool advice, bool forced, std::optional<CommandId> command, Turn& turn);
  Problem MakeProblem(const Plan* reference, Traffic train) const;
  SolveParams Params(const Plan* reference, const Verdict& due) const;
  absl::StatusOr<Verdict> JudgeResult(const Solve& solve, const Plan& plan) const;
  // Ends the decision without a publication.
  void Keep(const Verdict& verdict, const std::optional<CommandId>& command, Turn& turn);
  void Cancel(const Verdict& verdict, Turn& turn);
  void GoBack(Turn& turn);
  void Republish(const Plan& content, Verdict verdict, std::optional<CommandId> command,
                 Turn& turn);
  void FollowInForce();
  void CatchUpWithPeers(Turn& turn);
  std::shared_ptr<const Plan> ReferencePlan(bool advice) const;

  const Deployment& deployment_;
  const DeploymentOptions& options_;
  Journal& journal_;
  const Ingest& ingest_;
  Publisher& publisher_;
  uint64_t& next_ticket_;

  std::optional<Solve> solve_;
  std::optional<absl::Time> last_solve_;
  uint64_t tokens_at_solve_ = 0;
  std::vector<DomainCounts> solved_for_, counts_;
  std::vector<Outlier> outliers_;  // of the last solve
  LeftOut left_out_;               // what they are left out of
  double drift_ = 0;
  DriftHistory drift_history_;
  std::optional<CountsScan> scan_;  // under way
  uint64_t tokens_at_statistics_ = 0;
  absl::Time statistics_at_ = absl::InfinitePast();
  absl::Time coverage_low_since_ = absl::InfiniteFuture();
  double coverage_ = 0;
  RegressionWatch watch_;
  std::optional<Verdict> go_back_;  // as soon as nothing is under way
  bool republish_ = false;          // the present content, likewise
  Verdict republish_why_;
  Position answered_;  // greatest foreign position dealt with
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_PLANNER_H_
