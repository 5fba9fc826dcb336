#ifndef ADVISOR_CLIENT_CTL_FRONTIER_H_
#define ADVISOR_CLIENT_CTL_FRONTIER_H_

#include <optional>
#include <string>
#include <vector>

#include "client/report/html.h"
#include "core/model/figures.h"

namespace advisor::client {

// What inter-node bytes cost in memory: `joint` at a number of nodes and of spare slots, judged on
// requests that it has not seen.
struct FrontierPoint {
  int nodes = 0;
  double extra_slots_percent = 0;  // asked for; slots are whole, so more may be there
  int slots_per_gpu = 0;
  double spare_percent = 0;  // really there: slots over experts, less one
  Figures figures;
};
// How many times fewer bytes than the linear placement sends; infinite where nothing is sent.
double TrafficFactor(const Figures& figures);

// The least memory measured at which traffic falls by `factor`.
struct FrontierReached {
  int nodes = 0;
  double factor = 0;
  std::optional<double> extra_slots_percent;  // unset: at none
};

struct Frontier {
  std::string model, source;
  int gpus = 0;
  std::vector<FrontierPoint> points;     // by nodes, then by slots
  std::vector<FrontierReached> reached;  // by nodes, then by factor
};

HtmlReport FrontierPage(const Frontier& frontier);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_FRONTIER_H_
