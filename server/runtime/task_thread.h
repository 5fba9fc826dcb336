#ifndef ADVISOR_SERVER_RUNTIME_TASK_THREAD_H_
#define ADVISOR_SERVER_RUNTIME_TASK_THREAD_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace advisor::server {

// A thread that runs tasks in order. Whoever posts bounds how many wait.
class TaskThread {
 public:
  TaskThread();
  ~TaskThread();  // Stop()

  void Post(std::function<void()> task);
  // Runs what waits, then joins. Later tasks are dropped.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> waiting_;  // guarded by mutex_, like the next
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_RUNTIME_TASK_THREAD_H_
