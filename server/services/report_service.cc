#include "server/services/report_service.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

#include "advisor/v1/report.grpc.pb.h"
#include "core/base/status_macros.h"
#include "proto/convert/limits.h"
#include "proto/convert/report.h"
#include "proto/convert/status.h"
#include "server/access/token_bucket.h"
#include "server/services/errors.h"
#include "server/services/stream_reactor.h"

namespace advisor::server {
namespace {

// A waiting acknowledgement is replaced by a newer one; what only the older tells is carried over.
void MergeAcks(const v1::ReportResponse& replaced, v1::ReportResponse* response) {
  if (!replaced.has_frame_ack() || !response->has_frame_ack()) {
    return;
  }
  v1::FrameAck* ack = response->mutable_frame_ack();
  ack->set_want_key_frame(ack->want_key_frame() || replaced.frame_ack().want_key_frame());
  for (const v1::BlockReject& reject : replaced.frame_ack().rejects()) {
    if (static_cast<size_t>(ack->rejects_size()) < kMaxAckRejects) {
      *ack->add_rejects() = reject;
    }
  }
}

class OutboxStream final : public ReporterStream {
 public:
  explicit OutboxStream(std::shared_ptr<Outbox<v1::ReportResponse>> outbox)
      : outbox_(std::move(outbox)) {}
  void Send(const std::variant<HelloAck, FrameAck>& message) override {
    gap_told_ = false;
    v1::ReportResponse response;
    if (const auto* hello = std::get_if<HelloAck>(&message)) {
      *response.mutable_hello_ack() = ToProto(*hello);
    } else {
      *response.mutable_frame_ack() = ToProto(std::get<FrameAck>(message));
    }
    outbox_->Send(static_cast<int>(message.index()), std::move(response));
  }
  void End(const absl::Status& status) override { outbox_->End(status); }
  // Whether the engine must be told of a gap: not again before it has answered.
  bool TellGap() { return !gap_told_.exchange(true); }

 private:
  const std::shared_ptr<Outbox<v1::ReportResponse>> outbox_;
  std::atomic<bool> gap_told_{false};
};

class ReportReactor final : public StreamReactor<v1::ReportRequest, v1::ReportResponse> {
 public:
  ReportReactor(grpc::CallbackServerContext* context, const ReportServiceContext& service)
      : StreamReactor(context, service.clock, service.door, service.ids.Next(), MergeAcks),
        service_(service),
        stream_(std::make_shared<OutboxStream>(outbox())) {}

 private:
  absl::Status OnMessage(v1::ReportRequest& request) override {
    switch (request.message_case()) {
      case v1::ReportRequest::kHello:
        return OnHello(request.hello());
      case v1::ReportRequest::kFrame:
        RETURN_IF_ERROR(RequireHello());
        return OnFrame(*request.mutable_frame());
      case v1::ReportRequest::kWindow: {
        RETURN_IF_ERROR(RequireHello());
        ASSIGN_OR_RETURN(WindowReplay window, FromProto(std::move(*request.mutable_window())));
        return service_.loop.Post(event::ReporterWindow{id(), std::move(window)})
                   ? absl::OkStatus()
                   : OverloadedError();
      }
      default:
        return absl::InvalidArgumentError("message is empty, must be a hello, frame or window");
    }
  }

  absl::Status OnHello(const v1::Hello& message) {
    if (opened_) {
      return absl::InvalidArgumentError("a second Hello on one stream; open another stream");
    }
    ASSIGN_OR_RETURN(ReporterHello hello, FromProto(message));
    RETURN_IF_ERROR(Admit(Right::kReporter, hello.deployment, hello.reporter_id));
    rate_ = RateOf(hello.deployment);
    if (!service_.streams.Add(id(), stream_)) {
      return TooManyStreamsError();
    }
    if (service_.draining) {  // checked when added: a drain ends what it finds, then this sees it
      service_.streams.Remove(id());
      return DrainingError();
    }
    if (!service_.loop.Post(event::ReporterOpened{id(), std::move(hello)})) {
      service_.streams.Remove(id());
      return OverloadedError();
    }
    opened_ = true;
    return absl::OkStatus();
  }

  absl::Status OnFrame(v1::Frame& message) {
    if (rate_.has_value() && !rate_->Take(service_.clock.Now())) {
      service_.door.admission.NoteFrameTooFast();
      return Drop(message.key_frame(),
                  absl::ResourceExhaustedError(
                      "TOO_MANY_FRAMES: frames come faster than min_interval_ms allows"));
    }
    const bool key_frame = message.key_frame();
    ASSIGN_OR_RETURN(Frame frame, FromProto(std::move(message)));
    return service_.loop.Post(event::ReporterFrame{id(), std::move(frame)})
               ? absl::OkStatus()
               : Drop(key_frame, OverloadedError());
  }

  // A key frame will bring the counts of what was dropped. One that is itself dropped ends the
  // stream: its sender takes later calls for one as made before it was sent.
  absl::Status Drop(bool key_frame, absl::Status why) {
    if (key_frame) {
      return why;
    }
    if (stream_->TellGap()) {
      service_.loop.Post(event::ReporterGap{id()});
    }
    return absl::OkStatus();
  }

  // Twice as many frames as an agent may send, and some: one that follows the interval never
  // notices, one that does not cannot crowd out others.
  std::optional<TokenBucket> RateOf(const std::string& deployment) const {
    const auto interval = service_.min_intervals.find(deployment);
    if (interval == service_.min_intervals.end() || interval->second <= absl::ZeroDuration()) {
      return std::nullopt;
    }
    const double per_second = 1 / absl::ToDoubleSeconds(interval->second);
    return TokenBucket(2.5 * per_second, 10 * per_second);
  }

  absl::Status RequireHello() const {
    return opened_ ? absl::OkStatus()
                   : absl::InvalidArgumentError("the first message must be a Hello");
  }

  void OnClosed() override {
    if (opened_) {
      service_.streams.Remove(id());
      service_.loop.Post(event::ReporterClosed{id()});
    }
  }

  const ReportServiceContext& service_;
  const std::shared_ptr<OutboxStream> stream_;
  std::optional<TokenBucket> rate_;  // of frames; unset: as fast as they come
  bool opened_ = false;
};

// A stream of one request: hello and frames are posted together, and the call ends when the last
// frame is acknowledged.
class ReportOnceReactor final : public grpc::ServerUnaryReactor {
 public:
  ReportOnceReactor(const ReportServiceContext& service, const Peer& peer,
                    v1::ReportOnceRequest request, v1::ReportOnceResponse* response)
      : service_(service), id_(service.ids.Next()), call_(std::make_shared<Call>(this, response)) {
    const absl::Status status = Open(peer, request);
    if (!status.ok()) {
      call_->End(status);
    }
  }

 private:
  // Shared with the engine thread; holds on to the reactor until it has finished it.
  class Call final : public ReporterStream {
   public:
    Call(ReportOnceReactor* reactor, v1::ReportOnceResponse* response)
        : reactor_(reactor), response_(response) {}

    void set_last_seq(uint64_t seq) { last_seq_ = seq; }

    void Send(const std::variant<HelloAck, FrameAck>& message) override {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (finished_) {
          return;
        }
        if (const auto* hello = std::get_if<HelloAck>(&message)) {
          *response_->mutable_hello_ack() = ToProto(*hello);
          if (last_seq_ != 0) {
            return;
          }
        } else {
          const auto& ack = std::get<FrameAck>(message);
          *response_->mutable_frame_ack() = ToProto(ack);
          if (ack.acked_seq < last_seq_ && !ack.want_key_frame) {
            return;
          }
        }
        finished_ = true;
      }
      reactor_->Finish(grpc::Status::OK);
    }

    void End(const absl::Status& status) override {
      {
        std::lock_guard<std::mutex> lock(mutex_);
        if (finished_) {
          return;
        }
        finished_ = true;
      }
      reactor_->Finish(ToGrpc(status));
    }

   private:
    ReportOnceReactor* const reactor_;
    v1::ReportOnceResponse* const response_;
    uint64_t last_seq_ = 0;  // set before the call is shared
    std::mutex mutex_;
    bool finished_ = false;  // guarded by mutex_
  };

  absl::Status Open(const Peer& peer, v1::ReportOnceRequest& request) {
    if (service_.draining) {
      return DrainingError();
    }
    if (static_cast<size_t>(request.frames_size()) > kMaxFramesOnce) {
      return absl::InvalidArgumentError(absl::StrCat("frames has ", request.frames_size(),
                                                     " entries, limit is ", kMaxFramesOnce));
    }
    ASSIGN_OR_RETURN(ReporterHello hello, FromProto(request.hello()));
    RETURN_IF_ERROR(
        Allow(service_.door, peer, Right::kReporter, hello.deployment, hello.reporter_id));
    std::vector<Frame> frames;
    uint64_t last_seq = 0;
    for (v1::Frame& message : *request.mutable_frames()) {
      ASSIGN_OR_RETURN(Frame frame, FromProto(std::move(message)));
      last_seq = std::max(last_seq, frame.seq_last);
      frames.push_back(std::move(frame));
    }
    call_->set_last_seq(last_seq);
    if (!service_.streams.Add(id_, call_)) {
      return TooManyStreamsError();
    }
    added_ = true;
    if (!service_.loop.Post(event::ReporterOpened{id_, std::move(hello)})) {
      return OverloadedError();
    }
    opened_ = true;
    for (Frame& frame : frames) {
      if (!service_.loop.Post(event::ReporterFrame{id_, std::move(frame)})) {
        return OverloadedError();
      }
    }
    return absl::OkStatus();
  }

  void OnCancel() override { call_->End(absl::CancelledError("cancelled by the peer")); }
  void OnDone() override {
    if (added_) {
      service_.streams.Remove(id_);
    }
    if (opened_) {
      service_.loop.Post(event::ReporterClosed{id_});
    }
    delete this;
  }

  const ReportServiceContext& service_;
  const StreamId id_;
  const std::shared_ptr<Call> call_;
  bool added_ = false, opened_ = false;
};

class ReportService final : public v1::ReportService::CallbackService {
 public:
  explicit ReportService(ReportServiceContext context) : context_(context) {}

 private:
  grpc::ServerBidiReactor<v1::ReportRequest, v1::ReportResponse>* Report(
      grpc::CallbackServerContext* context) override {
    auto* reactor = new ReportReactor(context, context_);
    reactor->Begin();
    return reactor;
  }
  grpc::ServerUnaryReactor* ReportOnce(grpc::CallbackServerContext* context,
                                       const v1::ReportOnceRequest* request,
                                       v1::ReportOnceResponse* response) override {
    return new ReportOnceReactor(context_, PeerOf(*context), *request, response);
  }

  const ReportServiceContext context_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeReportService(ReportServiceContext context) {
  return std::make_unique<ReportService>(context);
}

}  // namespace advisor::server
