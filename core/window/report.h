#ifndef ADVISOR_CORE_WINDOW_REPORT_H_
#define ADVISOR_CORE_WINDOW_REPORT_H_

#include <cstdint>
#include <string>

#include "core/model/phase.h"

namespace advisor {

// What reports carry into windows. Meaning, limits and units are those of the messages of the same
// name in proto/advisor/v1/report.proto and types.proto.

// Counts of one block as they came off the wire: little-endian, `width` bytes each, dense or with
// bitmaps. Kept encoded so that a 60 kB frame is decoded once, straight into its window.
struct EncodedCounts {
  int width = 0;
  bool sparse = false;
  std::string data;
};

struct ReportBlock {
  std::string domain;
  Phase phase = Phase::kDecode;
  uint64_t tokens = 0;
  EncodedCounts counts;
  uint64_t visit_tokens = 0;
  uint64_t remote_visits = 0;
  double baseline_remote_visits = 0;
};

struct SampledRequest {
  uint64_t request_key = 0;
  std::string domain;
  Phase phase = Phase::kDecode;
  uint32_t first_token = 0;
  std::string experts;  // encoded, as on the wire
};

enum class RejectReason {
  kShape = 1,
  kSumLaw,
  kCountAboveTokens,
  kTooManyTokens,
  kRegression,
  kDomainName,
  kSample
};

// "shape", "sum_law", ...: as in metrics.
const char* ToString(RejectReason reason);

// Most bytes of a domain's name; control characters are not allowed in it.
inline constexpr size_t kLongestDomain = 64;
// Where domains beyond WindowOptions::max_domains are counted.
inline constexpr char kOtherDomain[] = "other";

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_REPORT_H_
