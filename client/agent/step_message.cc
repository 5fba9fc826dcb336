#include "client/agent/step_message.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "proto/convert/counts.h"

namespace advisor::client {

absl::StatusOr<Step> StepReader::Read(v1::RecordRequest* message) {
  const v1::RecordRequest& request = *message;
  if (static_cast<size_t>(request.blocks_size()) > kMaxBlocks) {
    return absl::InvalidArgumentError(
        absl::StrFormat("step %d has %d blocks, at most %d are allowed (one per domain and phase)",
                        request.step(), request.blocks_size(), kMaxBlocks));
  }
  size_t rows = 0;
  for (const v1::StepBlock& block : request.blocks()) {
    rows += block.requests_size();
  }
  blocks_.clear();
  rows_.clear();
  counts_.clear();
  rows_.reserve(rows);  // blocks point into both
  counts_.reserve(request.blocks_size());
  for (int i = 0; i < request.blocks_size(); ++i) {
    const v1::StepBlock& in = request.blocks(i);
    StepBlock out;
    if (in.phase() != v1::PHASE_PREFILL && in.phase() != v1::PHASE_DECODE) {
      return absl::InvalidArgumentError(
          absl::StrFormat("step %d block %d: phase is %d, must be PREFILL or DECODE",
                          request.step(), i, in.phase()));
    }
    if (in.what_case() == v1::StepBlock::WHAT_NOT_SET) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "step %d block %d: neither experts nor counts are set", request.step(), i));
    }
    out.domain = in.domain();
    out.phase = in.phase() == v1::PHASE_PREFILL ? Phase::kPrefill : Phase::kDecode;
    out.tokens = in.tokens();
    if (in.has_counts()) {
      counts_.push_back(FromProto(std::move(*message->mutable_blocks(i)->mutable_counts())));
      out.counts = &counts_.back();
    } else {
      out.experts = in.experts();
    }
    const size_t first = rows_.size();
    for (const v1::RequestRows& r : in.requests()) {
      rows_.push_back({r.request_id(), r.tokens()});
    }
    out.requests = absl::MakeConstSpan(rows_).subspan(first);
    blocks_.push_back(out);
  }
  Step step;
  step.step = request.step();
  step.merged_steps = std::max(1u, request.merged_steps());
  step.applied = {request.applied().epoch(), request.applied().revision()};
  step.blocks = blocks_;
  return step;
}

}  // namespace advisor::client
