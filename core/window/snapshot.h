#ifndef ADVISOR_CORE_WINDOW_SNAPSHOT_H_
#define ADVISOR_CORE_WINDOW_SNAPSHOT_H_

#include "core/model/request.h"
#include "core/window/outliers.h"
#include "core/window/traffic_window.h"

namespace advisor {

// The window as requests, parted into what the solver sees and what judges its result.
struct Snapshot {
  Traffic train, holdout;
  uint64_t holdout_tokens = 0;  // of holdout requests known whole
};

// A domain with sampled tokens becomes its sampled requests, prompt rows before decode rows, in the
// order of their hashed keys, at most sample_tokens tokens and from each reporter at most its share
// of the domain's counted tokens (hashes can be chosen, shares cannot); a request is held out by
// another hash of its key, and on either side the domain's requests are weighted to stand for its
// window tokens. A domain known by counts alone becomes one request by sums per phase and home
// node; its newest buckets are held out where there are two or more. `holdout_share`: 0 .. 1, of
// requests or buckets. A function of the window's content and of what is left out alone.
Snapshot TakeSnapshot(const TrafficWindow& window, double holdout_share,
                      const LeftOut& left_out = {});

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_SNAPSHOT_H_
