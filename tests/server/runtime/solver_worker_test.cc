#include "server/runtime/solver_worker.h"

#include <future>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "tests/server/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace advisor::server {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

effect::StartSolve Work(const std::string& deployment, uint64_t ticket) {
  effect::StartSolve work;
  work.deployment = deployment;
  work.ticket = SolveTicket(ticket);
  work.time_limit = absl::Seconds(2);
  return work;
}

// Collects results by ticket.
class Results {
 public:
  std::function<void(event::SolveDone)> callback() {
    return [this](event::SolveDone done) { Of(done.ticket).set_value(std::move(done)); };
  }
  event::SolveDone Get(uint64_t ticket) { return Of(SolveTicket(ticket)).get_future().get(); }

 private:
  std::promise<event::SolveDone>& Of(SolveTicket ticket) {
    std::lock_guard<std::mutex> lock(mutex_);
    return results_[ticket];
  }
  std::mutex mutex_;
  std::map<SolveTicket, std::promise<event::SolveDone>> results_;
};

TEST(SolverWorkerTest, AnswersWithThePlan) {
  testing::FakeClock clock;
  Results results;
  SolverWorker worker(
      2,
      [](const effect::StartSolve& work, ParallelFor& parallel) -> absl::StatusOr<Plan> {
        std::atomic<int> sum{0};
        parallel.Run(10, [&](int i) { sum += i; });
        EXPECT_EQ(sum, 45);
        EXPECT_FALSE(work.params.should_stop());
        Plan plan;
        plan.deployment = work.deployment;
        return plan;
      },
      results.callback(), clock);
  worker.Start(Work("a", 1));
  worker.Start(Work("b", 2));
  const event::SolveDone done = results.Get(1);
  ASSERT_THAT(done.plan, IsOk());
  EXPECT_EQ((*done.plan)->deployment, "a");
  EXPECT_EQ(results.Get(2).deployment, "b");
}

TEST(SolverWorkerTest, AnExceptionIsAStatus) {
  testing::FakeClock clock;
  Results results;
  SolverWorker worker(
      1,
      [](const effect::StartSolve&, ParallelFor&) -> absl::StatusOr<Plan> {
        throw std::runtime_error("boom");
      },
      results.callback(), clock);
  worker.Start(Work("a", 1));
  EXPECT_THAT(results.Get(1).plan,
              StatusIs(absl::StatusCode::kInternal, HasSubstr("solver threw: boom")));
}

TEST(SolverWorkerTest, TheTimeLimitStops) {
  testing::FakeClock clock;
  Results results;
  SolverWorker worker(
      1,
      [&clock](const effect::StartSolve& work, ParallelFor&) -> absl::StatusOr<Plan> {
        EXPECT_FALSE(work.params.should_stop());
        clock.Advance(absl::Milliseconds(1999));
        EXPECT_FALSE(work.params.should_stop());
        clock.Advance(absl::Milliseconds(1));
        EXPECT_TRUE(work.params.should_stop());
        return Plan();
      },
      results.callback(), clock);
  worker.Start(Work("a", 1));
  EXPECT_THAT(results.Get(1).plan, IsOk());
  EXPECT_EQ(worker.seconds(), 2);
}

// A solve that runs until it is told to stop.
SolveFunction Endless(std::promise<void>* began) {
  return [began](const effect::StartSolve& work, ParallelFor&) -> absl::StatusOr<Plan> {
    began->set_value();
    while (!work.params.should_stop()) {
      std::this_thread::yield();
    }
    return Plan();
  };
}

TEST(SolverWorkerTest, CancelEndsRunningAndWaitingSolves) {
  testing::FakeClock clock;
  Results results;
  std::promise<void> began;
  SolverWorker worker(1, Endless(&began), results.callback(), clock);
  worker.Start(Work("a", 1));
  began.get_future().wait();
  worker.Start(Work("b", 2));
  worker.Cancel(SolveTicket(2));
  EXPECT_THAT(results.Get(2).plan, StatusIs(absl::StatusCode::kCancelled, HasSubstr("before")));
  worker.Cancel(SolveTicket(1));
  EXPECT_THAT(results.Get(1).plan, IsOk());  // best so far
  worker.Cancel(SolveTicket(1));             // done already: nothing happens
}

TEST(SolverWorkerTest, StopCancelsAndJoins) {
  testing::FakeClock clock;
  Results results;
  std::promise<void> began;
  SolverWorker worker(1, Endless(&began), results.callback(), clock);
  worker.Start(Work("a", 1));
  began.get_future().wait();
  worker.Stop();
  EXPECT_THAT(results.Get(1).plan, IsOk());
}

}  // namespace
}  // namespace advisor::server
