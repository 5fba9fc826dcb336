#ifndef ADVISOR_SERVER_RUNTIME_SOLVER_WORKER_H_
#define ADVISOR_SERVER_RUNTIME_SOLVER_WORKER_H_

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "absl/status/statusor.h"
#include "core/base/parallel.h"
#include "core/engine/effect.h"
#include "core/engine/event.h"
#include "server/runtime/clock.h"

namespace advisor::server {

// core/solver's SolvePlan() on a StartSolve effect, or a fake in tests. The parameters are those of
// the effect with should_stop set.
using SolveFunction = std::function<absl::StatusOr<Plan>(const effect::StartSolve&, ParallelFor&)>;
absl::StatusOr<Plan> RunSolve(const effect::StartSolve& work, ParallelFor& parallel);

// Runs solves one after another on its own thread, each over a pool of threads. Every Start() is
// answered by exactly one SolveDone, unless the worker is stopped before.
class SolverWorker {
 public:
  // `done` is called on the worker's thread, or on the canceller's for a solve that had not begun.
  SolverWorker(int threads, SolveFunction solve, std::function<void(event::SolveDone)> done,
               const Clock& clock);
  ~SolverWorker();  // Stop()

  void Start(effect::StartSolve work);
  // A running solve ends with its best so far; one that waits with CANCELLED.
  void Cancel(SolveTicket ticket);
  // Cancels all and joins the thread.
  void Stop();
  // Time spent solving so far, seconds.
  double seconds() const;

 private:
  struct Job {
    effect::StartSolve work;
    std::shared_ptr<std::atomic<bool>> cancelled;
  };
  void Run();
  absl::StatusOr<std::shared_ptr<const Plan>> RunJob(Job& job);

  const SolveFunction solve_;
  const std::function<void(event::SolveDone)> done_;
  const Clock& clock_;
  const std::unique_ptr<ParallelFor> parallel_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> waiting_;  // guarded by mutex_, like the four below; at most one per deployment
  SolveTicket running_ticket_;
  std::shared_ptr<std::atomic<bool>> running_cancelled_;  // null: idle
  bool stopping_ = false;
  double seconds_ = 0;
  std::thread thread_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_SOLVER_WORKER_H_
