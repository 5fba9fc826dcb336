#ifndef ADVISOR_SERVER_SERVICES_STREAM_REACTOR_H_
#define ADVISOR_SERVER_SERVICES_STREAM_REACTOR_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "proto/convert/status.h"
#include "server/access/door.h"
#include "server/runtime/clock.h"
#include "server/runtime/outbox.h"

namespace advisor::server {

// A bidirectional stream: reads one message after another and hands it to OnMessage(); writes go
// through an outbox, which outlives the stream. Comes in through the door, and is ended if it says
// no Hello in time. Deletes itself once gRPC is done with it.
template <typename Request, typename Response>
class StreamReactor : public grpc::ServerBidiReactor<Request, Response> {
 public:
  StreamReactor(grpc::CallbackServerContext* context, const Clock& clock, const Door& door,
                StreamId id, typename Outbox<Response>::Merge merge = nullptr)
      : door_(door),
        id_(id),
        peer_(PeerOf(*context)),
        transport_(this, context),
        outbox_(std::make_shared<Outbox<Response>>(&transport_, clock, std::move(merge))) {}

  // Once, when constructed whole.
  void Begin() {
    const absl::Status admitted =
        door_.admission.Open(id_, peer_, !door_.policy.SpeaksForMany(peer_),
                             [outbox = outbox_](const absl::Status& s) { outbox->End(s); });
    if (admitted.ok()) {
      this->StartRead(&request_);
    } else {
      outbox_->End(admitted);
    }
  }

 protected:
  // An error ends the stream.
  virtual absl::Status OnMessage(Request& request) = 0;
  // The last call; nothing is read or written any more.
  virtual void OnClosed() = 0;

  // The stream has said who it is and what it wants.
  absl::Status Admit(Right right, const std::string& deployment, const std::string& id) {
    door_.admission.HelloCame(id_);
    return Allow(door_, peer_, right, deployment, id);
  }

  StreamId id() const { return id_; }
  const std::shared_ptr<Outbox<Response>>& outbox() const { return outbox_; }

 private:
  class Transport final : public Outbox<Response>::Writer {
   public:
    Transport(StreamReactor* stream, grpc::CallbackServerContext* context)
        : stream_(stream), context_(context) {}
    void StartWrite(const Response& message) override { stream_->StartWrite(&message); }
    void Cancel() override { context_->TryCancel(); }
    void Finish(const absl::Status& status) override { stream_->Finish(ToGrpc(status)); }

   private:
    StreamReactor* const stream_;
    grpc::CallbackServerContext* const context_;
  };

  void OnReadDone(bool ok) final {
    if (!ok) {  // the peer has said all, or is gone
      outbox_->End(absl::OkStatus());
      return;
    }
    const absl::Status status = OnMessage(request_);
    if (!status.ok()) {
      outbox_->End(status);
    } else if (!outbox_->ended()) {
      this->StartRead(&request_);
    }
  }
  void OnWriteDone(bool ok) final { outbox_->OnWriteDone(ok); }
  void OnCancel() final { outbox_->End(absl::CancelledError("cancelled by the peer")); }
  void OnDone() final {
    door_.admission.Close(id_);
    OnClosed();
    delete this;
  }

  const Door door_;
  const StreamId id_;
  const Peer peer_;
  Transport transport_;
  const std::shared_ptr<Outbox<Response>> outbox_;
  Request request_;
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_SERVICES_STREAM_REACTOR_H_
