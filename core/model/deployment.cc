#include "core/model/deployment.h"

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"

namespace advisor {
namespace {

bool IsPlainName(const std::string& name) {
  if (name.empty() || name.size() > 128) {
    return false;
  }
  for (char c : name) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    if (!plain) {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::Status ValidateCapacity(const ModelSpec& model, const Topology& topology) {
  const int missing = model.experts - topology.slot_count();
  if (missing > 0) {
    return absl::FailedPreconditionError(
        absl::StrFormat("topology has %d slots for %d experts a layer: %d slots are missing; raise "
                        "slots_per_gpu or add GPUs",
                        topology.slot_count(), model.experts, missing));
  }
  return absl::OkStatus();
}

absl::Status Validate(const Deployment& d) {
  if (!IsPlainName(d.name)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("deployment is \"%s\", must be 1 to 128 characters of a-z 0-9 . _ -",
                        d.name.substr(0, 140)));
  }
  RETURN_IF_ERROR(Validate(d.model));
  if (d.topology.node_count() == 0) {
    return absl::InvalidArgumentError("topology has no nodes");
  }
  RETURN_IF_ERROR(ValidateCapacity(d.model, d.topology));
  if (d.microbatches < 1 || d.microbatches > kMaxMicrobatches) {
    return absl::InvalidArgumentError(
        absl::StrFormat("microbatches is %d, must be 1 .. %d", d.microbatches, kMaxMicrobatches));
  }
  if (d.time_model.has_value()) {
    const TimeModel& t = *d.time_model;
    if (!(t.internode_gbytes_per_s > 0) || !(t.intranode_gbytes_per_s > 0) ||
        !(t.expert_ns_per_token > 0)) {
      return absl::InvalidArgumentError("time_model: every value must be greater than 0");
    }
    if (t.tokens_per_gpu < 1 || t.tokens_per_gpu > kMaxTokensPerGpu) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "time_model.tokens_per_gpu is %d, must be 1 .. %d", t.tokens_per_gpu, kMaxTokensPerGpu));
    }
  }
  return absl::OkStatus();
}

}  // namespace advisor
