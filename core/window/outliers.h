#ifndef ADVISOR_CORE_WINDOW_OUTLIERS_H_
#define ADVISOR_CORE_WINDOW_OUTLIERS_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/window/traffic_window.h"

namespace advisor {

// A reporter whose tokens of a domain choose experts like nobody else's.
struct Outlier {
  std::string reporter, domain;
  double distance = 0;  // of its counts or its samples, whichever is further; 0 .. 1
};

// Parts of the window that nothing is made of: (reporter, domain).
using LeftOut = std::set<std::pair<std::string, std::string>>;

// Distance beyond which a reporter is an outlier. On the real traces nodes that serve a domain
// each, unlabelled, lie at most 0.39 from their median, and single requests at most 0.47 from their
// domain.
inline constexpr double kOutlierDistance = 0.6;
// Tokens of the domain that a reporter must have to be judged, and to be one of the judges.
inline constexpr uint64_t kJudgedTokens = 128;

// Who lies, or is broken, in a way that the laws of counts do not show: per domain, the shares of
// the experts in a reporter's counts, and again in those of its sampled tokens that a snapshot
// takes, are held against the median of the reporters' counts. The distance is what goes beyond the
// median, mean over layers. None where fewer than three can be judged, or half of them would be
// outliers: then nobody knows who is right. Ordered by domain, reporter.
std::vector<Outlier> FindOutliers(const TrafficWindow& window);

}  // namespace advisor

#endif  // ADVISOR_CORE_WINDOW_OUTLIERS_H_
