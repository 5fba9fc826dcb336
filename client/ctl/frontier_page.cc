#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/frontier.h"
#include "client/ctl/table.h"

namespace advisor::client {
namespace {

// A line for each number of nodes, from the points that have the figure.
template <typename Get>
Chart AgainstMemory(const Frontier& frontier, const char* title, const char* y_title, Get get) {
  Chart chart;
  chart.title = title;
  chart.x_title = "spare slots, percent of the experts";
  chart.y_title = y_title;
  for (const FrontierPoint& point : frontier.points) {
    const std::string name = absl::StrCat(point.nodes, " nodes");
    if (chart.series.empty() || chart.series.back().name != name) {
      chart.series.push_back({name, {}});
    }
    if (const std::optional<double> y = get(point.figures); y.has_value() && std::isfinite(*y)) {
      chart.series.back().points.push_back(
          {point.spare_percent, *y, absl::StrCat(point.slots_per_gpu, " slots per GPU")});
    }
  }
  return chart;
}

void AddReached(const Frontier& frontier, HtmlReport* page) {
  std::vector<std::vector<std::string>> rows = {{"nodes", "traffic falls by", "spare slots"}};
  for (const FrontierReached& r : frontier.reached) {
    rows.push_back({absl::StrCat(r.nodes), absl::StrFormat("%gx", r.factor),
                    r.extra_slots_percent.has_value()
                        ? absl::StrFormat("%.4g %%", *r.extra_slots_percent)
                        : "at no memory measured"});
  }
  page->AddHeading("At what price");
  page->AddTable(rows);
}

void AddFigures(const Frontier& frontier, HtmlReport* page) {
  page->AddHeading("All figures");
  for (size_t i = 0; i < frontier.points.size();) {
    const int nodes = frontier.points[i].nodes;
    std::vector<FiguresColumn> columns;
    for (; i < frontier.points.size() && frontier.points[i].nodes == nodes; ++i) {
      columns.push_back({absl::StrFormat("%.4g %%", frontier.points[i].spare_percent),
                         frontier.points[i].figures});
    }
    page->AddText(absl::StrCat(nodes, " nodes, by spare slots:"));
    page->AddTable(FiguresRows(columns).rows());
  }
}

}  // namespace

HtmlReport FrontierPage(const Frontier& frontier) {
  HtmlReport page(
      absl::StrCat("Inter-node bytes against memory: ", frontier.model),
      absl::StrFormat("%d GPUs. Judged on requests that the solver has not seen, placed one by one "
                      "from their prompts; savings against the linear placement with requests "
                      "dealt round-robin. Source: %s",
                      frontier.gpus, frontier.source.empty() ? "not stated" : frontier.source));
  page.AddHeading("Traffic");
  page.AddChart(
      AgainstMemory(frontier, "Inter-node bytes saved", "percent saved", [](const Figures& f) {
        return f.saving_ratio.has_value() ? std::optional<double>(100 * *f.saving_ratio)
                                          : std::nullopt;
      }));
  page.AddChart(AgainstMemory(frontier, "Inter-node bytes per token", "bytes",
                              [](const Figures& f) { return f.internode_bytes_per_token; }));
  AddReached(frontier, &page);
  page.AddHeading("Load");
  page.AddChart(
      AgainstMemory(frontier, "Most loaded GPU over the mean, mean over layers", "GPU load",
                    [](const Figures& f) -> std::optional<double> { return f.gpu_load.mean; }));
  page.AddChart(
      AgainstMemory(frontier, "Most loaded node over the mean, mean over layers", "node load",
                    [](const Figures& f) -> std::optional<double> { return f.node_load.mean; }));
  AddFigures(frontier, &page);
  return page;
}

}  // namespace advisor::client
