#ifndef ADVISOR_CORE_WINDOW_OPTIONS_H_
#define ADVISOR_CORE_WINDOW_OPTIONS_H_

#include <cstdint>

namespace advisor {

// Most tokens of a bucket. One that is not full, and a frame no larger than a bucket, have fewer
// than 2^16: running sums are kept modulo that.
inline constexpr uint64_t kMaxBucketTokens = 32768;

// Windows close by tokens or steps, never by clocks.
struct WindowOptions {
  uint64_t bucket_tokens = 8192;  // a reporter's bucket closes once it holds so many tokens; at
                                  // most kMaxBucketTokens
  uint64_t bucket_steps = 1000;   // or spans so many steps
  int buckets = 8;                // closed buckets kept per reporter: the window
  int max_domains = 64;           // per deployment; later names are counted under "other"
  int sample_tokens = 4096;       // whole tokens kept per domain
  int frame_sample_tokens = 64;   // whole tokens asked of an agent per domain and frame
  uint64_t max_bytes =
      2ull << 30;  // of all windows of a deployment; formula in docs/design/0004-windows.md
};

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_OPTIONS_H_
