#include "client/engine/engine_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "advisor/v1/intake.grpc.pb.h"
#include "proto/convert/counts.h"
#include "proto/convert/limits.h"
#include "proto/convert/model.h"
#include "proto/convert/plan.h"

namespace advisor::client {
namespace {

// A Record stream is half-closed after so many messages, or when nothing came for so long, to learn
// what the agent counted. More per stream: fewer round trips, and more in doubt when the agent
// dies.
constexpr int kSegmentMessages = 8;
constexpr absl::Duration kIdle = absl::Milliseconds(200);
constexpr size_t kMaxJoinedIds = 1 << 20;
constexpr absl::Duration kConfirmDeadline = absl::Seconds(5);
constexpr size_t kMaxConfirms = 64;

using Clock = std::chrono::system_clock;

v1::RecordRequest ToMessage(const ModelSpec& model, const BufferedStep& buffered) {
  v1::RecordRequest out;
  out.set_step(buffered.step.step);
  out.set_merged_steps(buffered.merged_steps);
  if (buffered.step.applied != Position{}) {
    *out.mutable_applied() = ToProto(buffered.step.applied);
  }
  const size_t token_ids = size_t(model.moe_layers) * model.top_k;
  for (const TokenBlock& block : buffered.step.blocks) {
    v1::StepBlock& b = *out.add_blocks();
    b.set_domain(block.domain);
    b.set_phase(ToProto(block.phase));
    b.set_tokens(static_cast<uint32_t>(block.experts.size() / token_ids));
    b.set_experts(EncodeExperts(block.experts, model.experts));
    for (const TokenBlock::Rows& rows : block.requests) {
      v1::RequestRows& r = *b.add_requests();
      r.set_request_id(rows.request_id);
      r.set_tokens(rows.tokens);
    }
  }
  for (const BufferedStep::CountBlock& block : buffered.merged) {
    v1::StepBlock& b = *out.add_blocks();
    b.set_domain(block.domain);
    b.set_phase(ToProto(block.phase));
    b.set_tokens(block.tokens);
    *b.mutable_counts() = ToProto(EncodeCounts(block.counts, model.experts));
  }
  return out;
}

EngineInfo ToInfo(const v1::EngineInfo& message) {
  EngineInfo info;
  info.deployment = message.deployment();
  info.node = message.node();
  info.node_index = static_cast<int>(message.node_index());
  const absl::StatusOr<ModelSpec> model = FromProto(message.model());
  const absl::StatusOr<Topology> topology = FromProto(message.topology());
  info.has_model = message.has_model() && model.ok() && topology.ok();
  if (info.has_model) {
    info.model = *model;
    info.topology = *topology;
  }
  return info;
}

}  // namespace

// Three threads, each with one conversation: steps, plans, confirmations.
struct EngineClient::Wire {
  EngineClientOptions options;
  PlanCallbacks callbacks;
  uint64_t client_id = 0;
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::IntakeService::Stub> stub;

  mutable std::mutex mutex;
  std::condition_variable change;
  StepBuffer buffer;
  EngineClientStatus status;
  uint64_t acked_lost = 0;  // of status.lost, what an agent has answered for
  std::deque<PlanAck> confirms;
  bool stopping = false;
  Clock::time_point next_message;  // not before, unless the buffer fills or somebody waits
  int flushing = 0;
  std::vector<grpc::ClientContext*> open;  // calls to be cancelled on stop

  std::thread record_thread, watch_thread, confirm_thread;

  Wire(EngineClientOptions o, PlanCallbacks c)
      : options(std::move(o)),
        callbacks(std::move(c)),
        buffer(options.model, options.buffer_steps) {
    std::random_device device;
    client_id = uint64_t{device()} << 32 | device() | 1;
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
    const int min_ms = static_cast<int>(absl::ToInt64Milliseconds(options.reconnect_min));
    const int max_ms = static_cast<int>(absl::ToInt64Milliseconds(options.reconnect_max));
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, std::max(100, min_ms));
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, std::max(100, min_ms));
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, std::max(100, max_ms));
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);  // a socket of this machine
    // Each engine its own connection, also where several live in one process.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel = grpc::CreateCustomChannel(absl::StrCat("unix:", options.socket),
                                        grpc::InsecureChannelCredentials(), arguments);
    stub = v1::IntakeService::NewStub(channel);
  }

  void Start() {
    record_thread = std::thread([this] { RecordLoop(); });
    watch_thread = std::thread([this] { WatchLoop(); });
    confirm_thread = std::thread([this] { ConfirmLoop(); });
  }

  void Stop() {
    {
      std::lock_guard lock(mutex);
      stopping = true;
      for (grpc::ClientContext* context : open) {
        context->TryCancel();
      }
    }
    change.notify_all();
    record_thread.join();
    watch_thread.join();
    confirm_thread.join();
  }

  bool Stopping() const {
    std::lock_guard lock(mutex);
    return stopping;
  }

  // Waits a little for the agent; false when it is not there.
  bool Connected() {
    return channel->WaitForConnected(Clock::now() +
                                     absl::ToChronoMilliseconds(options.reconnect_min));
  }

  // Registers a call for cancellation; false when the client stops.
  bool Open(grpc::ClientContext* context) {
    std::lock_guard lock(mutex);
    open.push_back(context);
    return !stopping;
  }
  void Close(grpc::ClientContext* context) {
    std::lock_guard lock(mutex);
    std::erase(open, context);
  }

  // Pauses after a call that failed, unless the client stops.
  void Pause() {
    std::unique_lock lock(mutex);
    change.wait_for(lock, absl::ToChronoMilliseconds(options.reconnect_min),
                    [&] { return stopping; });
  }

  void RecordLoop() {
    while (!Stopping()) {
      {
        std::unique_lock lock(mutex);
        change.wait(lock, [&] { return stopping || !buffer.empty() || status.lost > acked_lost; });
      }
      if (Connected() && !RecordSegment()) {
        Pause();
      }
    }
  }

  // So many steps in the buffer do not wait to be joined by more.
  size_t Enough() const { return std::max<size_t>(1, options.buffer_steps / 2); }

  // The next message to write; nullopt: close the segment.
  std::optional<v1::RecordRequest> NextMessage(bool first) {
    std::unique_lock lock(mutex);
    change.wait_until(lock, next_message,
                      [&] { return stopping || flushing > 0 || buffer.size() >= Enough(); });
    if (!first) {
      change.wait_for(lock, absl::ToChronoMilliseconds(kIdle),
                      [&] { return stopping || flushing > 0 || !buffer.empty(); });
    }
    const std::optional<BufferedStep> next = stopping ? std::nullopt : buffer.Pop(kMaxJoinedIds);
    if (stopping || !(next.has_value() || status.lost > acked_lost)) {
      return std::nullopt;
    }
    if (buffer.empty()) {  // else it did not fit the message: what is left has waited already
      next_message = Clock::now() + absl::ToChronoMilliseconds(options.join);
    }
    const uint64_t lost = status.lost, acked = acked_lost;
    lock.unlock();  // the engine goes on recording
    v1::RecordRequest message;
    if (next.has_value()) {
      message = ToMessage(options.model, *next);
    } else {
      message.set_no_step(true);
    }
    message.set_client(client_id);
    message.set_lost_steps(lost);
    message.set_acked_lost_steps(acked);
    return message;
  }

  // One Record stream of bounded length. What it carried is confirmed, or lost. False: it failed.
  bool RecordSegment() {
    grpc::ClientContext context;
    v1::RecordResponse response;
    uint64_t carried = 0;
    bool ok = Open(&context);
    if (ok) {
      auto writer = stub->Record(&context, &response);
      SetRecording(true);
      bool states_loss = false;  // to be answered soon: until then it is in doubt who states it
      for (int i = 0; i < kSegmentMessages && ok && !states_loss; ++i) {
        const std::optional<v1::RecordRequest> next = NextMessage(i == 0);
        if (!next) {
          break;
        }
        carried += next->merged_steps();
        states_loss = next->lost_steps() > next->acked_lost_steps();
        ok = writer->Write(*next);
      }
      writer->WritesDone();
      ok = writer->Finish().ok() && ok;
    }
    Close(&context);
    std::lock_guard lock(mutex);
    status.recording = ok;
    status.confirmed += ok ? carried : 0;
    status.lost += ok ? 0 : carried;
    acked_lost = ok ? std::max(acked_lost, response.lost_steps()) : acked_lost;
    change.notify_all();
    return ok;
  }

  void SetRecording(bool recording) {
    std::lock_guard lock(mutex);
    status.recording = recording;
  }

  void WatchLoop() {
    while (!Stopping()) {
      if (Connected()) {
        WatchOnce();
        if (!Stopping()) {
          Pause();
        }
      }
    }
  }

  void WatchOnce() {
    grpc::ClientContext context;
    if (Open(&context)) {
      // Nothing is claimed to be held: an agent that has restarted needs to hear again what runs.
      auto reader = stub->WatchPlan(&context, v1::WatchPlanRequest());
      v1::WatchPlanResponse response;
      while (reader->Read(&response)) {
        SetWatching(true);
        Dispatch(response);
      }
      reader->Finish();
      SetWatching(false);
    }
    Close(&context);
  }

  void SetWatching(bool watching) {
    std::lock_guard lock(mutex);
    status.watching = watching;
    change.notify_all();
  }

  void Dispatch(const v1::WatchPlanResponse& response) {
    if (response.has_info() && callbacks.on_info) {
      callbacks.on_info(ToInfo(response.info()));
    } else if (response.has_placement() && callbacks.on_placement) {
      DispatchPlacement(response.placement());
    } else if (response.has_decision() && callbacks.on_decision) {
      if (const auto decision = FromProto(response.decision()); decision.ok()) {
        callbacks.on_decision(*decision);
      }
    } else if (response.has_grouping() && callbacks.on_grouping) {
      if (auto grouping = FromProto(response.grouping()); grouping.ok()) {
        callbacks.on_grouping(grouping->grouping, grouping->position);
      }
    }
  }

  void DispatchPlacement(const v1::PlacementUpdate& update) {
    absl::StatusOr<DecodedPlacement> decoded = FromProto(update, nullptr);
    absl::Status valid = decoded.ok() ? Validate(decoded->plan) : decoded.status();
    if (valid.ok() && (decoded->plan.model.moe_layers != options.model.moe_layers ||
                       decoded->plan.model.experts != options.model.experts)) {
      valid = absl::InvalidArgumentError("the plan is for another model than the engine runs");
    }
    if (valid.ok()) {
      callbacks.on_placement(std::make_shared<const Plan>(std::move(decoded->plan)), decoded->mode);
      return;
    }
    PlanAck nack;
    nack.position = FromProto(update.position());
    nack.phase = AckPhase::kNack;
    nack.nack = NackReason::kInvalid;
    nack.nack_message = std::string(valid.message()).substr(0, kMaxErrorBytes);
    QueueConfirm(std::move(nack));
  }

  void QueueConfirm(PlanAck ack) {
    {
      std::lock_guard lock(mutex);
      if (confirms.size() == kMaxConfirms) {
        confirms.pop_front();  // the oldest speaks of the oldest plan
      }
      confirms.push_back(std::move(ack));
    }
    change.notify_all();
  }

  void ConfirmLoop() {
    while (true) {
      PlanAck ack;
      {
        std::unique_lock lock(mutex);
        change.wait(lock, [&] { return stopping || !confirms.empty(); });
        if (stopping) {
          return;
        }
        ack = confirms.front();
      }
      // A refusal is final: the agent has gone on to another plan. Anything else is tried again.
      if (!ConfirmOnce(ack)) {
        Pause();
        continue;
      }
      std::lock_guard lock(mutex);
      if (!confirms.empty()) {
        confirms.pop_front();
      }
    }
  }

  bool ConfirmOnce(const PlanAck& ack) {
    grpc::ClientContext context;
    context.set_deadline(Clock::now() + absl::ToChronoMilliseconds(kConfirmDeadline));
    v1::ConfirmPlanRequest request;
    *request.mutable_ack() = ToProto(ack);
    v1::ConfirmPlanResponse response;
    grpc::Status result = grpc::Status::CANCELLED;
    if (Open(&context)) {
      result = stub->ConfirmPlan(&context, request, &response);
    }
    Close(&context);
    return result.ok() || result.error_code() == grpc::StatusCode::INVALID_ARGUMENT;
  }
};

EngineClient::EngineClient(EngineClientOptions options, PlanCallbacks callbacks)
    : wire_(std::make_unique<Wire>(std::move(options), std::move(callbacks))) {
  wire_->Start();
}

EngineClient::~EngineClient() {
  Flush(absl::Now() + absl::Seconds(1));
  wire_->Stop();
}

void EngineClient::Record(EngineStep step) {
  const absl::Status valid = StepBuffer::Check(wire_->options.model, step);
  bool wake = false;
  {
    std::lock_guard lock(wire_->mutex);
    ++wire_->status.steps;
    if (!valid.ok()) {
      ++wire_->status.refused;
      return;
    }
    wake = wire_->buffer.empty() || wire_->buffer.size() + 1 >= wire_->Enough();
    wire_->status.lost += wire_->buffer.Push(std::move(step)) ? 0 : 1;
  }
  if (wake) {
    wire_->change.notify_all();  // otherwise the step joins those that wait for their time
  }
}

void EngineClient::Confirm(Position position, AckPhase phase, uint64_t step, NackReason nack,
                           const std::string& message) {
  PlanAck ack;
  ack.position = position;
  ack.phase = phase;
  ack.step = step;
  ack.nack = nack;
  ack.nack_message = message.substr(0, kMaxErrorBytes);
  wire_->QueueConfirm(std::move(ack));
}

bool EngineClient::Flush(absl::Time deadline) {
  std::unique_lock lock(wire_->mutex);
  ++wire_->flushing;
  wire_->change.notify_all();
  const bool done = wire_->change.wait_until(lock, absl::ToChronoTime(deadline), [&] {
    const EngineClientStatus& s = wire_->status;
    return s.confirmed + s.lost + s.refused >= s.steps && wire_->acked_lost >= s.lost;
  });
  --wire_->flushing;
  return done;
}

EngineClientStatus EngineClient::Status() const {
  std::lock_guard lock(wire_->mutex);
  EngineClientStatus status = wire_->status;
  status.waiting = wire_->buffer.size();
  return status;
}

}  // namespace advisor::client
