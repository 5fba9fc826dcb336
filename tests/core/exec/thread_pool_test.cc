#include "core/exec/thread_pool.h"

#include <atomic>
#include <vector>

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(ThreadPoolTest, RunsEveryTaskOnceAndIsReusable) {
  for (int threads : {1, 2, 5}) {
    auto pool = MakeThreadPool(threads);
    for (int round = 0; round < 50; ++round) {
      std::vector<std::atomic<int>> hits(97);
      pool->Run(97, [&](int i) { ++hits[i]; });
      for (const auto& hit : hits) {
        EXPECT_EQ(hit.load(), 1);
      }
    }
  }
}

TEST(ThreadPoolTest, ZeroTasksReturnAtOnce) {
  MakeThreadPool(3)->Run(0, [](int) { FAIL(); });
}

}  // namespace
}  // namespace advisor
