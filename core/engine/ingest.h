#ifndef ADVISOR_CORE_ENGINE_INGEST_H_
#define ADVISOR_CORE_ENGINE_INGEST_H_

#include <map>
#include <optional>
#include <string>

#include "core/engine/journal.h"
#include "core/engine/options.h"
#include "core/model/deployment.h"
#include "core/session/reporter_session.h"
#include "core/window/traffic_window.h"

namespace advisor {

// What tokens known whole did under one placement, from one frame.
struct MeasuredVisits {
  Position applied;
  uint64_t tokens = 0;
  double remote_visits = 0, baseline_remote_visits = 0;
};

// The reporters of one deployment and the window that they fill.
class Ingest {
 public:
  // The references must outlive it. `deployment` and `options` may change between calls, the model
  // may not.
  Ingest(const Deployment& deployment, const DeploymentOptions& options, Journal& journal);

  void Open(StreamId stream, const ReporterHello& hello, uint64_t epoch, Turn& turn);
  // What the frame says about the placement in force in its engine; unset: nothing new.
  std::optional<MeasuredVisits> TakeFrame(StreamId stream, const Frame& frame, Turn& turn);
  void TakeWindow(StreamId stream, const WindowReplay& replay, Turn& turn);
  void TakeGap(StreamId stream, Turn& turn);
  void Closed(StreamId stream);
  // Sends acknowledgements that are due; lets counts of reporters past their lease leave.
  void Tick(Turn& turn);
  // The topology has changed: nodes are numbered anew, counts of nodes that left are dropped, and
  // all streams are ended, since agents count by the topology of their HelloAck.
  void TopologyChanged(Turn& turn);

  const TrafficWindow& window() const { return window_; }
  // Tokens that have come into closed buckets since the start.
  uint64_t tokens_closed() const { return tokens_closed_; }
  // Share of the topology's nodes that have a live reporter.
  double Coverage(absl::Time now) const;
  // The greatest position an engine said it runs.
  const Position& shown() const { return shown_; }

  void FillStatus(absl::Time now, DeploymentStatus* status) const;

 private:
  static constexpr size_t kMaxReporters = 4096;
  static constexpr int kKeptLeases = 10;  // a reporter is forgotten after so many leases of silence

  struct Meter {
    double internode_bytes = 0, baseline_internode_bytes = 0;
  };

  ReporterSession* Find(StreamId stream);
  // To reporters of this deployment.
  Features Offered() const;
  absl::Status Admit(const ReporterHello& hello) const;
  void CountApplied(const Frame& frame, const ReporterSession::FrameResult& result);
  MeasuredVisits Measure(const Frame& frame, const ReporterWindow& window, const Applied& applied);
  void End(StreamId stream, absl::Status status, Turn& turn);
  void SendDueAck(ReporterSession* session, Turn& turn);
  std::optional<NodeId> NodeNamed(const std::string& name) const;
  void Forget(ReporterSession* session);

  const Deployment& deployment_;
  const DeploymentOptions& options_;
  Journal& journal_;
  TrafficWindow window_;
  std::map<std::string, ReporterSession> sessions_;
  std::map<StreamId, std::string> streams_;
  std::map<std::string, Meter> meters_;  // by domain; at most max_domains names, then "other"
  uint64_t next_session_ = 1;
  uint64_t tokens_closed_ = 0;
  Position shown_;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_ENGINE_INGEST_H_
