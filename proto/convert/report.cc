#include "proto/convert/report.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "proto/convert/counts.h"
#include "proto/convert/features.h"
#include "proto/convert/limits.h"
#include "proto/convert/model.h"

namespace advisor {
namespace {

absl::Status ValidateSize(const char* field, size_t got, size_t limit) {
  if (got > limit) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s has %d entries, limit is %d", field, got, limit));
  }
  return absl::OkStatus();
}

v1::Block BlockToProto(ReportBlock block) {
  v1::Block out;
  out.set_domain(block.domain);
  out.set_phase(ToProto(block.phase));
  out.set_tokens(block.tokens);
  *out.mutable_counts() = ToProto(std::move(block.counts));
  out.set_visit_tokens(block.visit_tokens);
  out.set_remote_visits(block.remote_visits);
  out.set_baseline_remote_visits(block.baseline_remote_visits);
  return out;
}

absl::StatusOr<ReportBlock> BlockFromProto(v1::Block&& block) {
  ReportBlock out;
  out.domain = std::move(*block.mutable_domain());
  ASSIGN_OR_RETURN(out.phase, FromProto(block.phase()));
  out.tokens = block.tokens();
  out.counts = FromProto(std::move(*block.mutable_counts()));
  out.visit_tokens = block.visit_tokens();
  out.remote_visits = block.remote_visits();
  out.baseline_remote_visits = block.baseline_remote_visits();
  if (!std::isfinite(out.baseline_remote_visits) || out.baseline_remote_visits < 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("block.baseline_remote_visits is %g, must be finite and not negative",
                        out.baseline_remote_visits));
  }
  return out;
}

v1::SampledRequest SampleToProto(SampledRequest sample) {
  v1::SampledRequest out;
  out.set_request_key(sample.request_key);
  out.set_domain(sample.domain);
  out.set_phase(ToProto(sample.phase));
  out.set_first_token(sample.first_token);
  out.set_experts(std::move(sample.experts));
  return out;
}

absl::StatusOr<SampledRequest> SampleFromProto(v1::SampledRequest&& sample) {
  SampledRequest out;
  out.request_key = sample.request_key();
  out.domain = std::move(*sample.mutable_domain());
  ASSIGN_OR_RETURN(out.phase, FromProto(sample.phase()));
  out.first_token = sample.first_token();
  out.experts = std::move(*sample.mutable_experts());
  return out;
}

v1::BlockReject RejectToProto(const BlockReject& reject) {
  v1::BlockReject out;
  out.set_seq(reject.seq);
  out.set_domain(reject.domain.substr(0, kMaxDomainBytes));
  out.set_phase(ToProto(reject.phase));
  out.set_layer(reject.layer);
  out.set_reason(static_cast<v1::BlockReject::Reason>(reject.reason));
  out.set_message(reject.message.substr(0, kMaxErrorBytes));
  out.set_tokens(reject.tokens);
  return out;
}

absl::StatusOr<BlockReject> RejectFromProto(const v1::BlockReject& reject) {
  BlockReject out;
  out.seq = reject.seq();
  out.domain = reject.domain();
  ASSIGN_OR_RETURN(out.phase, FromProto(reject.phase()));
  out.layer = reject.layer();
  if (reject.reason() < v1::BlockReject::REASON_SHAPE ||
      reject.reason() > v1::BlockReject::REASON_SAMPLE) {
    return absl::InvalidArgumentError(
        absl::StrFormat("reject.reason is %d, which is not known", reject.reason()));
  }
  out.reason = static_cast<RejectReason>(reject.reason());
  out.message = reject.message();
  out.tokens = reject.tokens();
  return out;
}

}  // namespace

std::string ToBytes(const Incarnation& incarnation) {
  std::string out(kIncarnationBytes, '\0');
  for (int i = 0; i < 8; ++i) {
    out[i] = static_cast<char>(incarnation.high >> (56 - 8 * i));
    out[8 + i] = static_cast<char>(incarnation.low >> (56 - 8 * i));
  }
  return out;
}

absl::StatusOr<Incarnation> IncarnationFromBytes(const std::string& bytes) {
  if (bytes.size() != kIncarnationBytes) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "hello.incarnation has %d bytes, must be %d random ones", bytes.size(), kIncarnationBytes));
  }
  Incarnation out;
  for (int i = 0; i < 8; ++i) {
    out.high = out.high << 8 | static_cast<uint8_t>(bytes[i]);
    out.low = out.low << 8 | static_cast<uint8_t>(bytes[8 + i]);
  }
  return out;
}

absl::Status ValidateProtocolRange(uint32_t low, uint32_t high) {
  if (low > kProtocol || high < kProtocol) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "PROTOCOL_MISMATCH: peer speaks protocols %d to %d, this end speaks %d; update the older",
        low, high, kProtocol));
  }
  return absl::OkStatus();
}

v1::Hello ToProto(const ReporterHello& hello) {
  v1::Hello out;
  out.set_protocol_min(kProtocol);
  out.set_protocol_max(kProtocol);
  out.set_deployment(hello.deployment);
  out.set_reporter_id(hello.reporter_id);
  out.set_incarnation(ToBytes(hello.incarnation));
  out.set_model_fingerprint(hello.model_fingerprint);
  out.set_node(hello.node);
  out.set_next_seq(hello.next_seq);
  *out.mutable_features() = NamesOf(hello.features);
  *out.mutable_required_features() = NamesOf(hello.required);
  return out;
}

absl::StatusOr<ReporterHello> FromProto(const v1::Hello& hello) {
  RETURN_IF_ERROR(ValidateProtocolRange(hello.protocol_min(), hello.protocol_max()));
  RETURN_IF_ERROR(ValidateId("hello.deployment", hello.deployment()));
  RETURN_IF_ERROR(ValidateId("hello.reporter_id", hello.reporter_id()));
  if (hello.node().empty() || hello.node().size() > kMaxIdBytes) {
    return absl::InvalidArgumentError(absl::StrFormat("hello.node has %d bytes, must be 1 to %d",
                                                      hello.node().size(), kMaxIdBytes));
  }
  if (hello.next_seq() == 0) {
    return absl::InvalidArgumentError("hello.next_seq is 0, sequences start at 1");
  }
  ReporterHello out;
  out.deployment = hello.deployment();
  out.reporter_id = hello.reporter_id();
  ASSIGN_OR_RETURN(out.incarnation, IncarnationFromBytes(hello.incarnation()));
  out.model_fingerprint = hello.model_fingerprint();
  out.node = hello.node();
  out.next_seq = hello.next_seq();
  out.features = FeaturesNamed(hello.features());
  ASSIGN_OR_RETURN(out.required, RequiredFeatures(hello.required_features()));
  return out;
}

v1::Frame ToProto(Frame frame) {
  v1::Frame out;
  out.set_seq_first(frame.seq_first);
  out.set_seq_last(frame.seq_last);
  out.set_steps(frame.steps);
  out.set_last_step(frame.last_step);
  out.set_lost_steps(frame.lost_steps);
  if (frame.applied != Position{}) {
    *out.mutable_applied() = ToProto(frame.applied);
  }
  out.set_applied_hash(frame.applied_hash);
  for (ReportBlock& block : frame.blocks) {
    *out.add_blocks() = BlockToProto(std::move(block));
  }
  for (SampledRequest& sample : frame.samples) {
    *out.add_samples() = SampleToProto(std::move(sample));
  }
  out.set_key_frame(frame.key_frame);
  out.set_key_base_seq(frame.key_base_seq);
  return out;
}

absl::StatusOr<Frame> FromProto(v1::Frame&& frame) {
  RETURN_IF_ERROR(ValidateSize("frame.blocks", frame.blocks_size(), kMaxBlocks));
  RETURN_IF_ERROR(ValidateSize("frame.samples", frame.samples_size(), kMaxSamples));
  Frame out;
  out.seq_first = frame.seq_first();
  out.seq_last = frame.seq_last();
  out.steps = frame.steps();
  out.last_step = frame.last_step();
  out.lost_steps = frame.lost_steps();
  out.applied = FromProto(frame.applied());
  out.applied_hash = frame.applied_hash();
  out.blocks.reserve(frame.blocks_size());
  for (v1::Block& block : *frame.mutable_blocks()) {
    ASSIGN_OR_RETURN(ReportBlock converted, BlockFromProto(std::move(block)));
    out.blocks.push_back(std::move(converted));
  }
  out.samples.reserve(frame.samples_size());
  for (v1::SampledRequest& sample : *frame.mutable_samples()) {
    ASSIGN_OR_RETURN(SampledRequest converted, SampleFromProto(std::move(sample)));
    out.samples.push_back(std::move(converted));
  }
  out.key_frame = frame.key_frame();
  out.key_base_seq = frame.key_base_seq();
  return out;
}

v1::Window ToProto(WindowReplay window) {
  v1::Window out;
  out.set_through_seq(window.through_seq);
  for (Frame& bucket : window.buckets) {
    *out.add_buckets() = ToProto(std::move(bucket));
  }
  return out;
}

absl::StatusOr<WindowReplay> FromProto(v1::Window&& window) {
  RETURN_IF_ERROR(ValidateSize("window.buckets", window.buckets_size(), kMaxBuckets));
  WindowReplay out;
  out.through_seq = window.through_seq();
  for (v1::Frame& bucket : *window.mutable_buckets()) {
    ASSIGN_OR_RETURN(Frame converted, FromProto(std::move(bucket)));
    out.buckets.push_back(std::move(converted));
  }
  return out;
}

v1::HelloAck ToProto(const HelloAck& ack) {
  v1::HelloAck out;
  out.set_protocol(kProtocol);
  out.set_session_id(ack.session_id);
  out.set_epoch(ack.epoch);
  *out.mutable_model() = ToProto(ack.model);
  *out.mutable_topology() = ToProto(ack.topology);
  out.set_resume_after_seq(ack.resume_after_seq);
  out.set_want_key_frame(ack.want_key_frame);
  out.set_want_window(ack.want_window);
  out.set_min_interval_ms(ack.min_interval_ms);
  out.set_max_interval_ms(ack.max_interval_ms);
  out.set_credits(ack.credits);
  out.set_key_frame_every(ack.key_frame_every);
  out.set_max_frame_bytes(ack.max_frame_bytes);
  out.set_sample_tokens(ack.sample_tokens);
  out.set_window_buckets(ack.window_buckets);
  out.set_bucket_tokens(ack.bucket_tokens);
  out.set_bucket_steps(ack.bucket_steps);
  *out.mutable_features() = NamesOf(ack.features);
  return out;
}

absl::StatusOr<HelloAck> FromProto(const v1::HelloAck& ack) {
  RETURN_IF_ERROR(ValidateProtocolRange(ack.protocol(), ack.protocol()));
  HelloAck out;
  out.session_id = ack.session_id();
  out.epoch = ack.epoch();
  ASSIGN_OR_RETURN(out.model, FromProto(ack.model()));
  ASSIGN_OR_RETURN(out.topology, FromProto(ack.topology()));
  out.resume_after_seq = ack.resume_after_seq();
  out.want_key_frame = ack.want_key_frame();
  out.want_window = ack.want_window();
  out.min_interval_ms = ack.min_interval_ms();
  out.max_interval_ms = ack.max_interval_ms();
  out.credits = ack.credits();
  out.key_frame_every = ack.key_frame_every();
  out.max_frame_bytes = ack.max_frame_bytes();
  out.sample_tokens = ack.sample_tokens();
  out.window_buckets = ack.window_buckets();
  out.bucket_tokens = ack.bucket_tokens();
  out.bucket_steps = ack.bucket_steps();
  out.features = FeaturesNamed(ack.features());
  return out;
}

v1::FrameAck ToProto(const FrameAck& ack) {
  v1::FrameAck out;
  out.set_acked_seq(ack.acked_seq);
  out.set_credits(ack.credits);
  for (size_t i = 0; i < std::min(ack.rejects.size(), kMaxAckRejects); ++i) {
    *out.add_rejects() = RejectToProto(ack.rejects[i]);
  }
  out.set_rejected_blocks(ack.rejected_blocks);
  out.set_want_key_frame(ack.want_key_frame);
  return out;
}

absl::StatusOr<FrameAck> FromProto(const v1::FrameAck& ack) {
  RETURN_IF_ERROR(ValidateSize("frame_ack.rejects", ack.rejects_size(), kMaxAckRejects));
  FrameAck out;
  out.acked_seq = ack.acked_seq();
  out.credits = ack.credits();
  for (const v1::BlockReject& reject : ack.rejects()) {
    ASSIGN_OR_RETURN(BlockReject converted, RejectFromProto(reject));
    out.rejects.push_back(std::move(converted));
  }
  out.rejected_blocks = ack.rejected_blocks();
  out.want_key_frame = ack.want_key_frame();
  return out;
}

}  // namespace advisor
