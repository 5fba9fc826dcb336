#include <grpcpp/client_context.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "advisor/v1/plan.grpc.pb.h"
#include "client/agent/streams.h"
#include "proto/convert/model.h"
#include "proto/convert/plan.h"
#include "proto/convert/status.h"

namespace advisor::client {
namespace {

using Stream = grpc::ClientReaderWriter<v1::SubscribeRequest, v1::SubscribeResponse>;

PlacementMode ModeOf(const v1::PlacementUpdate& update) {
  switch (update.mode()) {
    case v1::PLACEMENT_MODE_PREPARE:
      return PlacementMode::kPrepare;
    case v1::PLACEMENT_MODE_IN_FORCE:
      return PlacementMode::kInForce;
    default:
      return PlacementMode::kAdvisory;  // what is not understood is not acted on
  }
}

void OnPlacement(const v1::PlacementUpdate& update, Hub* hub) {
  const Position base = update.has_delta() ? FromProto(update.delta().base()) : Position{};
  hub->OnPlacement(
      FromProto(update.position()), base,
      [&](const Plan* held) -> absl::StatusOr<Plan> {
        absl::StatusOr<DecodedPlacement> decoded = FromProto(update, held);
        return decoded.ok() ? absl::StatusOr<Plan>(std::move(decoded->plan)) : decoded.status();
      },
      ModeOf(update));
}

void OnGrouping(const v1::GroupingUpdate& update, Hub* hub) {
  absl::StatusOr<DecodedGrouping> decoded = FromProto(update);
  hub->OnGrouping(
      FromProto(update.position()),
      decoded.ok() ? absl::StatusOr<Grouping>(std::move(decoded->grouping)) : decoded.status(),
      FromProto(update.needs_placement()));
}

void Handle(const v1::SubscribeResponse& response, Hub* hub) {
  switch (response.message_case()) {
    case v1::SubscribeResponse::kUpToDate:
      hub->OnUpToDate(FromProto(response.up_to_date().placement()));
      break;
    case v1::SubscribeResponse::kPlacement:
      OnPlacement(response.placement(), hub);
      break;
    case v1::SubscribeResponse::kGrouping:
      OnGrouping(response.grouping(), hub);
      break;
    case v1::SubscribeResponse::kDecision:
      if (absl::StatusOr<RolloutDecision> decision = FromProto(response.decision());
          decision.ok()) {
        hub->OnDecision(*decision);
      }
      break;
    default:
      break;  // Progress, or a message of a later release
  }
}

// Writes acknowledgements. OK: the stream has ended, or the hub stops. Else why it is given up.
absl::Status WriteAcks(Stream* stream, Hub* hub, absl::Duration progress_timeout,
                       const std::atomic<bool>& ended, const std::atomic<int64_t>& last_read) {
  while (!ended && !hub->stopping()) {
    const absl::Time deadline = absl::FromUnixNanos(last_read) + progress_timeout;
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat("nothing came for ",
                                                      absl::FormatDuration(progress_timeout),
                                                      "; the daemon hangs or the network is cut"));
    }
    const Hub::PlanOutput output = hub->WaitAcks(deadline, [&] { return ended.load(); });
    for (const PlanAck& ack : output.acks) {
      v1::SubscribeRequest request;
      *request.mutable_ack() = ToProto(ack);
      if (!stream->Write(request)) {
        return absl::OkStatus();  // the reader learns why
      }
    }
    if (output.subscribe_anew) {
      return absl::AbortedError("a delta against a plan not held; subscribing anew");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunPlanStream(const std::shared_ptr<grpc::Channel>& channel, Hub* hub,
                           absl::Duration progress_timeout) {
  auto stub = v1::PlanService::NewStub(channel);
  grpc::ClientContext context;
  auto stream = stub->Subscribe(&context);
  v1::SubscribeRequest hello;
  *hello.mutable_hello() = ToProto(hub->PlanHello());
  std::atomic<bool> ended = false;
  std::atomic<int64_t> last_read = absl::ToUnixNanos(absl::Now());
  stream->Write(hello);  // a failure shows in the first read
  std::thread reader([&] {
    v1::SubscribeResponse response;
    while (stream->Read(&response)) {
      last_read = absl::ToUnixNanos(absl::Now());
      hub->OnSubscribed();
      Handle(response, hub);
    }
    ended = true;
    hub->Interrupt();
  });
  const absl::Status written = WriteAcks(stream.get(), hub, progress_timeout, ended, last_read);
  if (!written.ok() || hub->stopping()) {
    context.TryCancel();
  }
  reader.join();
  hub->OnPlanEnd();
  const absl::Status finished = FromGrpc(stream->Finish());
  return written.ok() ? finished : written;
}

}  // namespace advisor::client
