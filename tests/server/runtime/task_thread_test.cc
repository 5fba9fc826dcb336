#include "server/runtime/task_thread.h"

#include <vector>

#include "gtest/gtest.h"

namespace advisor::server {
namespace {

TEST(TaskThreadTest, RunsInOrderAndAllBeforeItStops) {
  std::vector<int> ran;  // on the thread, until it is joined
  TaskThread thread;
  for (int i = 0; i < 100; ++i) {
    thread.Post([&ran, i] { ran.push_back(i); });
  }
  thread.Stop();
  thread.Post([&ran] { ran.push_back(-1); });
  thread.Stop();
  ASSERT_EQ(ran.size(), 100u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(ran[i], i);
  }
}

}  // namespace
}  // namespace advisor::server
