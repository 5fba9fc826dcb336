#ifndef ADVISOR_SERVER_STORE_STORE_WRITER_H_
#define ADVISOR_SERVER_STORE_STORE_WRITER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "core/engine/effect.h"
#include "core/engine/event.h"
#include "server/runtime/clock.h"
#include "server/runtime/task_thread.h"
#include "server/store/plan_store.h"

namespace advisor::server {

// Counts of writes since start.
struct StoreCounters {
  uint64_t writes = 0, failures = 0;
  double seconds = 0;      // spent writing
  std::string last_error;  // of the last write; empty: it is on the disk
};

// Carries out the engine's writes on a thread of its own, in order; the engine never waits for a
// disk. The engine waits for each plan's answer before the next, and states change at operators'
// speed: what waits is bounded by nature. What was accepted is written before Stop() returns.
class StoreWriter {
 public:
  // `stored` answers every StorePlan, `failed` tells of a StoreState that failed; both are called
  // on the writer's thread.
  StoreWriter(std::unique_ptr<PlanStore> store, const Clock& clock,
              std::function<void(event::PlanStored)> stored,
              std::function<void(const std::string&, const absl::Status&)> failed);

  // Reads what Load() left and hands it to `loaded`, on the writer's thread; before any write.
  void LoadOlder(const std::string& deployment, std::function<void(LoadedDeployment)> loaded);
  void Write(effect::StorePlan write);
  void Write(effect::StoreState write);
  void Stop() { thread_.Stop(); }

  StoreCounters counters() const;

 private:
  // Runs one write, counted and timed.
  absl::Status Timed(const std::function<absl::Status()>& write);

  const std::unique_ptr<PlanStore> store_;
  const Clock& clock_;
  const std::function<void(event::PlanStored)> stored_;
  const std::function<void(const std::string&, const absl::Status&)> failed_;
  mutable std::mutex mutex_;
  StoreCounters counters_;  // guarded by mutex_
  TaskThread thread_;       // last: stopped before the rest goes
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_STORE_STORE_WRITER_H_
