#include "core/engine/ingest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/session/errors.h"
#include "core/window/statistics.h"

namespace advisor {
namespace {

uint32_t Milliseconds(absl::Duration duration) {
  return static_cast<uint32_t>(absl::ToInt64Milliseconds(duration));
}

}  // namespace

Ingest::Ingest(const Deployment& deployment, const DeploymentOptions& options, Journal& journal)
    : deployment_(deployment),
      options_(options),
      journal_(journal),
      window_(deployment.model, options.window, deployment.topology.node_count()) {}

std::optional<NodeId> Ingest::NodeNamed(const std::string& name) const {
  const std::vector<NodeSpec>& nodes = deployment_.topology.nodes();
  const auto it = std::find_if(nodes.begin(), nodes.end(),
                               [&](const NodeSpec& node) { return node.name == name; });
  if (it == nodes.end()) {
    return std::nullopt;
  }
  return NodeId(static_cast<int>(it - nodes.begin()));
}

Features Ingest::Offered() const {
  return {.samples = options_.window.frame_sample_tokens > 0, .delta_placement = false};
}

absl::Status Ingest::Admit(const ReporterHello& hello) const {
  if (hello.model_fingerprint != 0 &&
      hello.model_fingerprint != ModelFingerprint(deployment_.model)) {
    return error::ModelMismatch(hello.reporter_id, hello.model_fingerprint, deployment_.model);
  }
  if ((hello.required & Offered()) != hello.required) {
    return error::FeatureNotOffered(
        hello.reporter_id,
        "reporters are offered samples, where window.frame_sample_tokens is above 0");
  }
  if (!NodeNamed(hello.node).has_value()) {
    return error::NodeNotInTopology(hello.reporter_id, hello.node);
  }
  const auto known = sessions_.find(hello.reporter_id);
  if (known != sessions_.end()) {
    return known->second.Admit(hello);
  }
  if (sessions_.size() >= kMaxReporters) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("deployment \"%s\" knows %d reporters, the most there may be",
                        deployment_.name, kMaxReporters));
  }
  return absl::OkStatus();
}

void Ingest::Open(StreamId stream, const ReporterHello& hello, uint64_t epoch, Turn& turn) {
  if (absl::Status status = Admit(hello); !status.ok()) {
    End(stream, std::move(status), turn);
    return;
  }
  absl::StatusOr<ReporterWindow*> window = window_.Open(hello.reporter_id, *NodeNamed(hello.node));
  if (!window.ok()) {
    End(stream, window.status(), turn);
    return;
  }
  ReporterSession& session =
      sessions_.try_emplace(hello.reporter_id, hello.reporter_id).first->second;
  if (const std::optional<StreamId> old = session.stream()) {
    const bool same = session.IsCurrent(hello.incarnation);
    streams_.erase(*old);
    End(*old, same ? error::Superseded(session.id()) : error::NewerIncarnation(session.id()), turn);
  }
  HelloAck ack;
  session.Open(stream, hello, *window, turn.now, &ack);
  streams_[stream] = hello.reporter_id;
  const SessionOptions& limits = options_.session;
  ack.session_id = next_session_++;
  ack.epoch = epoch;
  ack.model = deployment_.model;
  ack.topology = deployment_.topology;
  ack.min_interval_ms = Milliseconds(limits.min_report_interval);
  ack.max_interval_ms = Milliseconds(limits.max_report_interval);
  ack.credits = limits.credits;
  ack.key_frame_every = limits.key_frame_every;
  ack.max_frame_bytes = limits.max_frame_bytes;
  ack.features = hello.features & Offered();
  ack.sample_tokens =
      ack.features.samples ? static_cast<uint32_t>(options_.window.frame_sample_tokens) : 0;
  ack.window_buckets = static_cast<uint32_t>(options_.window.buckets);
  ack.bucket_tokens = options_.window.bucket_tokens;
  ack.bucket_steps = options_.window.bucket_steps;
  turn.effects.push_back(effect::SendReporter{stream, std::move(ack)});
}

std::optional<MeasuredVisits> Ingest::TakeFrame(StreamId stream, const Frame& frame, Turn& turn) {
  ReporterSession* session = Find(stream);
  if (session == nullptr) {
    return std::nullopt;  // the stream was ended; what was under way is not counted
  }
  ReporterWindow* window = window_.Find(session->id());
  if (window == nullptr) {
    session->Forget();
    End(stream, error::UnknownKeyBase(session->id(), frame.key_base_seq, 0), turn);
    return std::nullopt;
  }
  const Position applied_before = session->applied();
  const ReporterSession::FrameResult result = session->TakeFrame(frame, window, turn.now);
  std::optional<MeasuredVisits> measured;
  switch (result.result) {
    case ReporterSession::Result::kApplied:
      CountApplied(frame, result);
      measured = Measure(frame, *window, *result.applied);
      if (frame.key_frame && applied_before != frame.applied) {
        measured.reset();  // its sums span several placements
      }
      break;
    case ReporterSession::Result::kDuplicate:
      ++journal_.counters.frames_duplicate;
      break;
    case ReporterSession::Result::kGap:
      ++journal_.counters.frames_gap;
      break;
    case ReporterSession::Result::kEnd:
      Forget(session);
      streams_.erase(stream);
      session->Close();
      End(stream, result.status, turn);
      return std::nullopt;
  }
  SendDueAck(session, turn);
  return measured;
}

void Ingest::CountApplied(const Frame& frame, const ReporterSession::FrameResult& result) {
  DeploymentCounters& counters = journal_.counters;
  const Applied& applied = *result.applied;
  ++counters.frames_applied;
  counters.key_frames += frame.key_frame ? 1 : 0;
  counters.steps += applied.steps;
  counters.tokens += applied.tokens;
  counters.lost_steps += result.lost_steps;
  counters.domain_overflows += applied.overflowed_blocks;
  for (const Refused& refused : applied.refused) {
    ++counters.rejected_blocks[refused.fault.reason];
  }
  tokens_closed_ += applied.closed_tokens;
  shown_ = std::max(shown_, frame.applied);
}

MeasuredVisits Ingest::Measure(const Frame& frame, const ReporterWindow& window,
                               const Applied& applied) {
  MeasuredVisits measured;
  measured.applied = frame.applied;
  const double bytes = deployment_.model.BytesPerVisit();
  for (const Visits& visits : applied.visits) {
    measured.tokens += visits.tokens;
    measured.remote_visits += static_cast<double>(visits.remote_visits);
    measured.baseline_remote_visits += visits.baseline_remote_visits;
    auto meter = meters_.find(window.domains()[visits.domain].name);
    if (meter == meters_.end()) {
      const bool room = meters_.size() < static_cast<size_t>(options_.window.max_domains);
      meter = meters_.try_emplace(room ? window.domains()[visits.domain].name : kOtherDomain).first;
    }
    meter->second.internode_bytes += static_cast<double>(visits.remote_visits) * bytes;
    meter->second.baseline_internode_bytes += visits.baseline_remote_visits * bytes;
  }
  return measured;
}

void Ingest::TakeWindow(StreamId stream, const WindowReplay& replay, Turn& turn) {
  ReporterSession* session = Find(stream);
  ReporterWindow* window = session == nullptr ? nullptr : window_.Find(session->id());
  if (window == nullptr) {
    return;
  }
  if (absl::Status status = session->TakeWindow(replay, window, turn.now); !status.ok()) {
    streams_.erase(stream);
    session->Close();
    End(stream, std::move(status), turn);
    return;
  }
  ++journal_.counters.windows_replayed;
  tokens_closed_ += window->window_tokens();
  shown_ = std::max(shown_, session->applied());
  SendDueAck(session, turn);
}

void Ingest::TakeGap(StreamId stream, Turn& turn) {
  if (ReporterSession* session = Find(stream)) {
    ++journal_.counters.frames_gap;
    session->TakeGap();
    SendDueAck(session, turn);
  }
}

void Ingest::Closed(StreamId stream) {
  if (ReporterSession* session = Find(stream)) {
    session->Close();
    streams_.erase(stream);
  }
}

void Ingest::Tick(Turn& turn) {
  for (auto it = sessions_.begin(); it != sessions_.end();) {
    ReporterSession& session = it->second;
    SendDueAck(&session, turn);
    const bool gone =
        session.LivenessAt(options_.session, turn.now) == ReporterSession::Liveness::kGone;
    if (gone && window_.Find(session.id()) != nullptr) {
      journal_.Log(true,
                   absl::StrCat("reporter \"", session.id(), "\" on node \"", session.node(),
                                "\" is silent past its lease: its counts leave the window"),
                   turn);
      Forget(&session);
    }
    const bool forgotten =
        !session.stream().has_value() &&
        turn.now - session.last_heard() > kKeptLeases * options_.session.reporter_lease;
    it = forgotten ? sessions_.erase(it) : std::next(it);
  }
}

void Ingest::TopologyChanged(Turn& turn) {
  for (auto& [id, session] : sessions_) {
    const std::optional<NodeId> node = NodeNamed(session.node());
    if (!node.has_value()) {
      Forget(&session);
    } else if (ReporterWindow* window = window_.Find(id)) {
      window->set_node(*node);
    }
    if (const std::optional<StreamId> stream = session.stream()) {
      streams_.erase(*stream);
      session.Close();
      End(*stream,
          node.has_value() ? error::TopologyChanged(id)
                           : error::NodeNotInTopology(id, session.node()),
          turn);
    }
  }
}

void Ingest::Forget(ReporterSession* session) {
  window_.Drop(session->id());
  session->Forget();
}

ReporterSession* Ingest::Find(StreamId stream) {
  const auto it = streams_.find(stream);
  return it == streams_.end() ? nullptr : &sessions_.at(it->second);
}

void Ingest::End(StreamId stream, absl::Status status, Turn& turn) {
  turn.effects.push_back(effect::EndStream{stream, std::move(status)});
}

void Ingest::SendDueAck(ReporterSession* session, Turn& turn) {
  if (std::optional<FrameAck> ack = session->DueAck(options_.session, turn.now)) {
    turn.effects.push_back(effect::SendReporter{*session->stream(), *std::move(ack)});
  }
}

double Ingest::Coverage(absl::Time now) const {
  std::set<std::string> live;
  for (const auto& [id, session] : sessions_) {
    if (session.LivenessAt(options_.session, now) == ReporterSession::Liveness::kLive &&
        NodeNamed(session.node()).has_value()) {
      live.insert(session.node());
    }
  }
  return static_cast<double>(live.size()) / deployment_.topology.node_count();
}

void Ingest::FillStatus(absl::Time now, DeploymentStatus* status) const {
  for (const auto& [id, session] : sessions_) {
    const ReporterSession::Counters& counters = session.counters();
    ReporterStatus reporter;
    reporter.reporter_id = id;
    reporter.node = session.node();
    reporter.liveness = static_cast<ReporterLiveness>(session.LivenessAt(options_.session, now));
    reporter.frames = counters.frames;
    reporter.tokens = counters.tokens;
    reporter.steps = counters.steps;
    reporter.lost_steps = counters.lost_steps;
    reporter.rejected_blocks = counters.rejected_blocks;
    reporter.duplicate_frames = counters.duplicate_frames;
    reporter.applied = session.applied();
    status->reporters.push_back(std::move(reporter));
  }
  for (const auto& [name, meter] : meters_) {
    DomainStatus domain;
    domain.domain = name;
    domain.internode_bytes = meter.internode_bytes;
    domain.baseline_internode_bytes = meter.baseline_internode_bytes;
    status->domains.push_back(std::move(domain));
  }
  status->coverage = Coverage(now);
  status->window_tokens = window_.tokens();
  status->window_bytes = window_.bytes();
}

}  // namespace advisor
