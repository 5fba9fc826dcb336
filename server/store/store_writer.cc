#include "server/store/store_writer.h"

#include <utility>

namespace advisor::server {

StoreWriter::StoreWriter(std::unique_ptr<PlanStore> store, const Clock& clock,
                         std::function<void(event::PlanStored)> stored,
                         std::function<void(const std::string&, const absl::Status&)> failed)
    : store_(std::move(store)),
      clock_(clock),
      stored_(std::move(stored)),
      failed_(std::move(failed)) {}

void StoreWriter::LoadOlder(const std::string& deployment,
                            std::function<void(LoadedDeployment)> loaded) {
  thread_.Post(
      [this, deployment, loaded = std::move(loaded)] { loaded(store_->LoadOlder(deployment)); });
}

void StoreWriter::Write(effect::StorePlan write) {
  thread_.Post([this, write = std::move(write)]() mutable {
    PlanRecord& record = write.record;
    if (record.published_unix_ms == 0) {
      record.published_unix_ms = clock_.UnixMillis();
    }
    absl::Status status = Timed([&] { return store_->StorePlan(write.deployment, record); });
    stored_({write.deployment, record.plan->position, std::move(status), record.published_unix_ms});
  });
}

void StoreWriter::Write(effect::StoreState write) {
  thread_.Post([this, write = std::move(write)] {
    const absl::Status status =
        Timed([&] { return store_->StoreState(write.deployment, write.state); });
    if (!status.ok()) {
      failed_(write.deployment, status);
    }
  });
}

StoreCounters StoreWriter::counters() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return counters_;
}

absl::Status StoreWriter::Timed(const std::function<absl::Status()>& write) {
  const absl::Time began = clock_.Now();
  absl::Status status = write();
  std::lock_guard<std::mutex> lock(mutex_);
  ++counters_.writes;
  counters_.failures += !status.ok();
  counters_.last_error = std::string(status.message());
  counters_.seconds += absl::ToDoubleSeconds(clock_.Now() - began);
  return status;
}

}  // namespace advisor::server
