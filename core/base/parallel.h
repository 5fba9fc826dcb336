#ifndef ADVISOR_CORE_BASE_PARALLEL_H_
#define ADVISOR_CORE_BASE_PARALLEL_H_

#include <functional>

namespace advisor {

// How pure code asks for parallelism without owning threads. Implementations: InlineParallelFor
// here, a thread pool in core/exec. Callers must make each task independent, so that results never
// depend on the number of threads.
class ParallelFor {
 public:
  virtual ~ParallelFor() = default;
  // Runs task(0) .. task(n - 1) in any order, possibly at once; returns when all are done. Tasks do
  // not throw.
  virtual void Run(int n, const std::function<void(int)>& task) = 0;
};

class InlineParallelFor final : public ParallelFor {
 public:
  void Run(int n, const std::function<void(int)>& task) override {
    for (int i = 0; i < n; ++i) {
      task(i);
    }
  }
};

}  // namespace advisor

#endif  // ADVISOR_CORE_BASE_PARALLEL_H_
