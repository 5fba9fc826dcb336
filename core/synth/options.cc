#include <cmath>

#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/synth/generator.h"

namespace advisor {
namespace {

absl::Status CheckRange(const char* option, double value, double low, double high) {
  if (!(value >= low && value <= high)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s is %g, must be %g .. %g", option, value, low, high));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const GeneratorOptions& o) {
  constexpr double kMaxSkew = 10;  // ten times the noise: the term alone decides
  RETURN_IF_ERROR(Validate(o.model));
  RETURN_IF_ERROR(CheckRange("requests", o.requests, 1, 10'000'000));
  RETURN_IF_ERROR(CheckRange("tokens", o.tokens, 2, 100'000));
  RETURN_IF_ERROR(CheckRange("length_spread", o.length_spread, 0, 3));
  RETURN_IF_ERROR(CheckRange("prompt_share", o.prompt_share, 0, 1));
  RETURN_IF_ERROR(CheckRange("domains", o.domains, 1, kMaxSyntheticDomains));
  RETURN_IF_ERROR(CheckRange("global_skew", o.global_skew, 0, kMaxSkew));
  RETURN_IF_ERROR(CheckRange("domain_skew", o.domain_skew, 0, kMaxSkew));
  RETURN_IF_ERROR(CheckRange("domain_kinship", o.domain_kinship, 0, 1));
  RETURN_IF_ERROR(CheckRange("domain_depth_ramp", o.domain_depth_ramp, 0, 1));
  RETURN_IF_ERROR(CheckRange("topic_skew", o.topic_skew, 0, kMaxSkew));
  RETURN_IF_ERROR(CheckRange("phase_correlation", o.phase_correlation, 0, 1));
  RETURN_IF_ERROR(CheckRange("blocks", o.blocks, 0, kMaxSyntheticBlocks));
  RETURN_IF_ERROR(CheckRange("block_strength", o.block_strength, 0, kMaxSkew));
  RETURN_IF_ERROR(CheckRange("block_focus", o.block_focus, 0, kMaxSkew));
  RETURN_IF_ERROR(CheckRange("balanced_ranges", o.balanced_ranges, 0, o.model.experts));
  if (o.balanced_ranges > 0 && o.model.experts % o.balanced_ranges != 0) {
    return absl::InvalidArgumentError(
        absl::StrFormat("balanced_ranges is %d, must divide model.experts, %d", o.balanced_ranges,
                        o.model.experts));
  }
  return CheckRange("persistence", o.persistence, 0, 1);
}

}  // namespace advisor
