#include "server/runtime/solver_worker.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/exec/thread_pool.h"
#include "core/solver/solver.h"

namespace advisor::server {

absl::StatusOr<Plan> RunSolve(const effect::StartSolve& work, ParallelFor& parallel) {
  return SolvePlan(*work.problem, *work.holdout, work.params, work.previous.get(), parallel);
}

SolverWorker::SolverWorker(int threads, SolveFunction solve,
                           std::function<void(event::SolveDone)> done, const Clock& clock)
    : solve_(std::move(solve)),
      done_(std::move(done)),
      clock_(clock),
      parallel_(MakeThreadPool(threads)),
      thread_([this] { Run(); }) {}

SolverWorker::~SolverWorker() { Stop(); }

void SolverWorker::Start(effect::StartSolve work) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back({std::move(work), std::make_shared<std::atomic<bool>>(false)});
  }
  wake_.notify_one();
}

void SolverWorker::Cancel(SolveTicket ticket) {
  Job job;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (running_cancelled_ != nullptr && running_ticket_ == ticket) {
      *running_cancelled_ = true;
      return;
    }
    const auto found = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const Job& j) { return j.work.ticket == ticket; });
    if (found == waiting_.end()) {
      return;  // done already
    }
    job = std::move(*found);
    waiting_.erase(found);
  }
  done_({job.work.deployment, ticket, absl::CancelledError("cancelled before it began")});
}

void SolverWorker::Stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    if (running_cancelled_ != nullptr) {
      *running_cancelled_ = true;
    }
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
}

double SolverWorker::seconds() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return seconds_;
}

void SolverWorker::Run() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) {
      return;
    }
    Job job = std::move(waiting_.front());
    waiting_.pop_front();
    running_ticket_ = job.work.ticket;
    running_cancelled_ = job.cancelled;
    lock.unlock();
    const absl::Time began = clock_.Now();
    event::SolveDone result{job.work.deployment, job.work.ticket, RunJob(job)};
    lock.lock();
    seconds_ += absl::ToDoubleSeconds(clock_.Now() - began);
    running_cancelled_ = nullptr;
    lock.unlock();
    done_(std::move(result));
    lock.lock();
  }
}

absl::StatusOr<std::shared_ptr<const Plan>> SolverWorker::RunJob(Job& job) {
  const absl::Time limit = clock_.Now() + job.work.time_limit;
  job.work.params.should_stop = [this, limit, cancelled = job.cancelled] {
    return *cancelled || clock_.Now() >= limit;
  };
  try {
    absl::StatusOr<Plan> plan = solve_(job.work, *parallel_);
    if (!plan.ok()) {
      return plan.status();
    }
    return std::make_shared<const Plan>(*std::move(plan));
  } catch (const std::exception& e) {  // std::bad_alloc, foremost
    return absl::InternalError(absl::StrCat("solver threw: ", e.what()));
  }
}

}  // namespace advisor::server
