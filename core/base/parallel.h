#ifndef ADVISOR_CORE_BASE_PARALLEL_H_
#define ADVISOR_CORE_BASE_PARALLEL_H_

#include <algorithm>
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

// Runs task(first, end) over blocks of `block` that cover 0 .. n - 1.
inline void RunInBlocks(ParallelFor& parallel, int n, int block,
                        const std::function<void(int, int)>& task) {
  parallel.Run((n + block - 1) / block,
               [&](int i) { task(i * block, std::min(n, (i + 1) * block)); });
}

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
