#include <grpcpp/client_context.h>

#include <atomic>
#include <thread>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "advisor/v1/report.grpc.pb.h"
#include "client/agent/streams.h"
#include "core/base/status_macros.h"
#include "proto/convert/report.h"
#include "proto/convert/status.h"

namespace advisor::client {
namespace {

constexpr absl::Duration kHelloTimeout = absl::Seconds(10);

using Stream = grpc::ClientReaderWriter<v1::ReportRequest, v1::ReportResponse>;

absl::Status Take(const v1::ReportResponse& response, Hub* hub) {
  if (response.has_hello_ack()) {
    ASSIGN_OR_RETURN(const HelloAck ack, FromProto(response.hello_ack()));
    return hub->OnHelloAck(ack);
  }
  if (response.has_frame_ack()) {
    ASSIGN_OR_RETURN(const FrameAck ack, FromProto(response.frame_ack()));
    hub->OnFrameAck(ack);
  }
  return absl::OkStatus();
}

// Reads answers until the stream ends or one cannot be taken.
absl::Status ReadAnswers(Stream* stream, Hub* hub) {
  v1::ReportResponse response;
  while (stream->Read(&response)) {
    RETURN_IF_ERROR(Take(response, hub));
  }
  return absl::OkStatus();
}

// Writes what the session gives. OK: the stream has ended, or the hub stops. Else why it is given
// up.
absl::Status WriteFrames(Stream* stream, Hub* hub, const std::atomic<bool>& ended) {
  const absl::Time hello_deadline = absl::Now() + kHelloTimeout;
  while (auto message = hub->WaitReport(hello_deadline, [&] { return ended.load(); })) {
    v1::ReportRequest request;
    if (auto* window = std::get_if<WindowReplay>(&*message)) {
      *request.mutable_window() = ToProto(std::move(*window));
    } else if (auto* frame = std::get_if<Frame>(&*message)) {
      *request.mutable_frame() = ToProto(std::move(*frame));
    } else {
      return absl::AbortedError("sums no longer fit a key frame; counting starts anew");
    }
    if (!stream->Write(request)) {
      return absl::OkStatus();  // the reader learns why
    }
  }
  return ended || hub->stopping() ? absl::OkStatus()
                                  : absl::DeadlineExceededError(absl::StrCat(
                                        "no HelloAck within ", absl::FormatDuration(kHelloTimeout),
                                        "; the daemon hangs"));
}

}  // namespace

absl::Status RunReportStream(const std::shared_ptr<grpc::Channel>& channel, Hub* hub) {
  auto stub = v1::ReportService::NewStub(channel);
  grpc::ClientContext context;
  auto stream = stub->Report(&context);
  v1::ReportRequest hello;
  *hello.mutable_hello() = ToProto(hub->ReportHello());
  stream->Write(hello);  // a failure shows in the first read
  std::atomic<bool> ended = false;
  absl::Status read;
  std::thread reader([&] {
    read = ReadAnswers(stream.get(), hub);
    if (!read.ok()) {
      context.TryCancel();
    }
    ended = true;
    hub->Interrupt();
  });
  const absl::Status written = WriteFrames(stream.get(), hub, ended);
  if (!written.ok() || hub->stopping()) {
    context.TryCancel();
  }
  reader.join();
  hub->OnReportEnd();
  // Our own cancellation says nothing; what led to it does.
  const absl::Status finished = FromGrpc(stream->Finish());
  return !read.ok() ? read : !written.ok() ? written : finished;
}

}  // namespace advisor::client
