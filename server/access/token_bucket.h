#ifndef ADVISOR_SERVER_ACCESS_TOKEN_BUCKET_H_
#define ADVISOR_SERVER_ACCESS_TOKEN_BUCKET_H_

#include <algorithm>

#include "absl/time/time.h"

namespace advisor::server {

// `rate` a second in the long run, `burst` at once. Not thread-safe.
class TokenBucket {
 public:
  TokenBucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst) {}

  double rate() const { return rate_; }
  bool Take(absl::Time now) {
    if (now > last_) {
      const double past = absl::ToDoubleSeconds(now - last_);  // infinite at first: full
      tokens_ = std::min(burst_, tokens_ + past * rate_);
      last_ = now;
    }
    if (tokens_ < 1) {
      return false;
    }
    tokens_ -= 1;
    return true;
  }

 private:
  double rate_, burst_, tokens_;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace advisor::server

#endif  // ADVISOR_SERVER_ACCESS_TOKEN_BUCKET_H_
