#include <algorithm>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/compare.h"

namespace advisor::client {
namespace {

Chart SavingAgainstLoad(const Comparison& c) {
  Chart chart;
  chart.kind = Chart::Kind::kScatter;
  chart.title = "Saving against load: up and to the left is better";
  chart.x_title = "most loaded GPU over the mean, mean over layers";
  chart.y_title = "inter-node bytes saved, percent";
  for (const MethodResult& result : c.methods) {
    ChartSeries series{result.method, {}};
    for (size_t i = 0; i < result.runs.size(); ++i) {
      const Figures& f = result.runs[i];
      if (f.saving_ratio.has_value()) {
        series.points.push_back(
            {f.gpu_load.mean, 100 * *f.saving_ratio, absl::StrCat("seed ", result.seeds[i])});
      }
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart SavingOfDomains(const Comparison& c) {
  Chart chart;
  chart.kind = Chart::Kind::kBar;
  chart.title = "Saving by domain";
  chart.x_title = "domain";
  chart.y_title = "inter-node bytes saved, percent";
  for (const DomainSaving& d : c.methods.front().domains) {
    chart.labels.push_back(DomainLabel(d.domain));
  }
  for (const MethodResult& result : c.methods) {
    ChartSeries series{result.method, {}};
    for (size_t d = 0; d < result.domains.size(); ++d) {
      series.points.push_back({static_cast<double>(d),
                               100 * result.domains[d].saving_ratio.value_or(0),
                               absl::StrFormat("%.0f tokens", result.domains[d].tokens)});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

// `get` of a layer and of the baseline's.
template <typename Get>
Chart ByLayer(const Comparison& c, const char* title, const char* y_title, Get get) {
  Chart chart;
  chart.title = title;
  chart.x_title = "MoE layer";
  chart.y_title = y_title;
  for (const MethodResult& result : c.methods) {
    ChartSeries series{result.method, {}};
    for (size_t l = 0; l < result.layers.size(); ++l) {
      series.points.push_back(
          {static_cast<double>(l), get(result.layers[l], c.linear_layers[l]), ""});
    }
    chart.series.push_back(std::move(series));
  }
  return chart;
}

// Experts of one layer, by the first node that holds a copy: under any placement, what a node holds
// stands together.
std::vector<int> ByHolder(const MethodResult& result, int layer, int nodes, int experts) {
  std::vector<int> holder(experts, nodes), order(experts);
  for (int n = nodes - 1; n >= 0; --n) {
    for (int e = 0; e < experts; ++e) {
      if (result.held[(size_t(layer) * nodes + n) * experts + e]) {
        holder[e] = n;
      }
    }
  }
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&holder](int a, int b) { return holder[a] < holder[b]; });
  return order;
}

// A frame a layer: activations of the tokens at home on a node, over the mean cell of the layer.
Heatmap ExpertsByNode(const Comparison& c, const MethodResult& result, std::string title) {
  const int nodes = c.topology.node_count(), experts = c.model.experts;
  Heatmap map;
  map.title = std::move(title);
  map.row_title = "home";
  map.column_title = "position";
  map.value_title = "x the mean cell of the layer";
  map.high = 4;
  map.columns = NumberedLabels(experts);
  for (const NodeSpec& node : c.topology.nodes()) {
    map.rows.push_back(node.name);
  }
  for (int l = 0; l < c.model.moe_layers; ++l) {
    const std::vector<int> order = ByHolder(result, l, nodes, experts);
    const size_t first = size_t(l) * nodes * experts;
    const double sum = std::accumulate(result.demand.begin() + first,
                                       result.demand.begin() + first + nodes * experts, 0.0);
    Heatmap::Frame frame{absl::StrCat("layer ", l), {}, {}};
    for (int n = 0; n < nodes; ++n) {
      for (const int e : order) {
        const size_t cell = first + size_t(n) * experts + e;
        frame.cells.push_back(sum > 0 ? result.demand[cell] * nodes * experts / sum : 0);
        frame.marks.push_back(result.held[cell]);
      }
    }
    map.frames.push_back(std::move(frame));
  }
  return map;
}

void AddPlacements(const Comparison& c, HtmlReport* page) {
  page->AddHeading("Experts by node, before and after");
  page->AddText(
      "A row is a node; its colours say how often the tokens at home there choose each expert, a "
      "dot "
      "that the node holds a copy. Colour without a dot is traffic between nodes. Experts stand in "
      "the order of the first node that holds them.");
  page->AddHeatmap(ExpertsByNode(
      c, c.methods.back(),
      absl::StrCat("Before: ", c.methods.back().method, ", requests dealt round-robin")));
  page->AddHeatmap(
      ExpertsByNode(c, c.methods.front(), absl::StrCat("After: ", c.methods.front().method)));
}

}  // namespace

HtmlReport ComparePage(const Comparison& c) {
  HtmlReport page(
      absl::StrCat("Placement methods side by side: ", c.model.name),
      absl::StrFormat("%d nodes, %d GPUs, %d slots for %d experts in each of %d layers. Judged on "
                      "requests that no method has seen, placed one by one from their prompts; "
                      "savings against the linear placement with requests dealt round-robin. "
                      "Source: %s",
                      c.topology.node_count(), c.topology.gpu_count(), c.topology.slot_count(),
                      c.model.experts, c.model.moe_layers,
                      c.source.empty() ? "not stated" : c.source));
  page.AddHeading("What each saves, and at what load");
  page.AddChart(SavingAgainstLoad(c));
  std::vector<FiguresColumn> columns;
  for (const MethodResult& result : c.methods) {
    columns.push_back(Summarise(result));
  }
  page.AddTable(FiguresRows(columns).rows());
  page.AddHeading("By domain");
  page.AddChart(SavingOfDomains(c));
  page.AddHeading("By layer");
  page.AddChart(ByLayer(c, "Saving by layer", "percent of the layer's visits",
                        [](const LayerFigures& own, const LayerFigures& linear) {
                          return linear.visits > 0 ? 100 * (1 - own.visits / linear.visits) : 0;
                        }));
  page.AddChart(ByLayer(c, "GPU load by layer", "most loaded over the mean",
                        [](const LayerFigures& own, const LayerFigures&) { return own.gpu_load; }));
  AddPlacements(c, &page);
  return page;
}

}  // namespace advisor::client
