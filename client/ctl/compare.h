#ifndef ADVISOR_CLIENT_CTL_COMPARE_H_
#define ADVISOR_CLIENT_CTL_COMPARE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "client/ctl/table.h"
#include "client/report/html.h"
#include "core/cost/breakdown.h"
#include "core/cost/evaluate.h"
#include "core/model/model_spec.h"
#include "core/model/topology.h"

namespace advisor::client {

// One method on requests that it has not seen.
struct MethodResult {
  std::string method;
  std::vector<uint64_t> seeds;
  std::vector<Figures> runs;  // a seed each
  // Of the first seed:
  std::vector<DomainSaving> domains;
  std::vector<LayerFigures> layers;
  std::vector<double> demand;  // DemandByHome
  std::vector<bool> held;      // [layers, nodes, experts]: the node has a copy
};

struct Comparison {
  ModelSpec model;
  Topology topology;
  std::string source;
  std::vector<MethodResult> methods;        // joint first, linear last
  std::vector<LayerFigures> linear_layers;  // of the contract's baseline
};

// Mean over the runs and the standard deviation over them.
FiguresColumn Summarise(const MethodResult& result);

HtmlReport ComparePage(const Comparison& comparison);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_COMPARE_H_
