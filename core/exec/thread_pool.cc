#include "core/exec/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace advisor {
namespace {

class ThreadPool final : public ParallelFor {
 public:
  explicit ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) {  // the caller is the first worker
      workers_.emplace_back([this] { Work(); });
    }
  }
  ~ThreadPool() override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) {
      worker.join();
    }
  }

  void Run(int n, const std::function<void(int)>& task) override {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      task_ = &task;
      size_ = n;
      next_ = 0;
      busy_ = static_cast<int>(workers_.size());
      ++round_;
    }
    wake_.notify_all();
    Drain(task, n);
    std::unique_lock<std::mutex> lock(mutex_);
    idle_.wait(lock, [this] { return busy_ == 0; });
    task_ = nullptr;
  }

 private:
  void Drain(const std::function<void(int)>& task, int n) {
    for (int i = next_.fetch_add(1); i < n; i = next_.fetch_add(1)) {
      task(i);
    }
  }

  void Work() {
    int64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return closing_ || round_ != seen; });
      if (closing_) {
        return;
      }
      seen = round_;
      const std::function<void(int)>& task = *task_;
      const int n = size_;
      lock.unlock();
      Drain(task, n);
      lock.lock();
      if (--busy_ == 0) {
        idle_.notify_all();
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::vector<std::thread> workers_;
  const std::function<void(int)>* task_ = nullptr;  // guarded by mutex_, like all below but next_
  int size_ = 0;
  int busy_ = 0;
  int64_t round_ = 0;
  bool closing_ = false;
  std::atomic<int> next_{0};
};

}  // namespace

std::unique_ptr<ParallelFor> MakeThreadPool(int threads) {
  return std::make_unique<ThreadPool>(threads);
}

}  // namespace advisor
