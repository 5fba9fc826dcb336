#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/pages.h"
#include "client/ctl/table.h"
#include "core/stats/popularity.h"

namespace advisor::client {
namespace {

std::vector<std::string> DomainNames(const Characterization& c) {
  std::vector<std::string> names;
  for (const DomainProfile& domain : c.domains) {
    names.push_back(DomainLabel(domain.domain));
  }
  return names;
}

// Counts over the mean of their layer, [layers, experts].
std::vector<double> OverMean(const ExpertCounts& counts) {
  std::vector<double> out;
  for (int l = 0; l < counts.layers(); ++l) {
    double sum = 0;
    for (const double count : counts.row(l)) {
      sum += count;
    }
    for (const double count : counts.row(l)) {
      out.push_back(sum > 0 ? count * counts.experts() / sum : 0);
    }
  }
  return out;
}

double Largest(const std::vector<double>& values) {
  return values.empty() ? 1 : *std::max_element(values.begin(), values.end());
}

Heatmap Popularity(const Characterization& c) {
  Heatmap map;
  map.title = "How often each expert is chosen, over the mean of its layer";
  map.row_title = "layer";
  map.column_title = "expert";
  map.value_title = "x the mean of the layer";
  map.rows = NumberedLabels(c.model.moe_layers);
  map.columns = NumberedLabels(c.model.experts);
  map.frames.push_back({"all domains", OverMean(c.counts), {}});
  map.high = Largest(map.frames.back().cells);
  for (size_t d = 0; d < c.domains.size(); ++d) {
    map.frames.push_back({DomainLabel(c.domains[d].domain), OverMean(c.domain_counts[d]), {}});
    map.high = std::max(map.high, Largest(map.frames.back().cells));
  }
  // A few lone experts would leave everything else pale.
  map.high = std::min(map.high, 4.0);
  return map;
}

Chart ByLayer(const char* title, const char* y_title) {
  Chart chart;
  chart.title = title;
  chart.x_title = "MoE layer";
  chart.y_title = y_title;
  return chart;
}

template <typename T>
ChartSeries SeriesOf(std::string name, const std::vector<T>& items, double T::*field) {
  ChartSeries series{std::move(name), {}};
  for (size_t i = 0; i < items.size(); ++i) {
    series.points.push_back({static_cast<double>(i), items[i].*field, ""});
  }
  return series;
}

void AddImbalance(const Characterization& c, HtmlReport* page) {
  page->AddHeading("1. Load is uneven, and moves");
  page->AddText(
      absl::StrFormat("In the median layer the hottest expert has %.2f x the mean of all experts "
                      "(Gini %.2f); experts "
                      "spread evenly by number leave that imbalance to GPUs and nodes.",
                      c.max_over_mean, c.gini));
  Chart layers = ByLayer("Hottest expert over the mean, by layer", "x the mean");
  layers.series.push_back(SeriesOf("all requests", c.per_layer, &Imbalance::max_over_mean));
  page->AddChart(layers);
  page->AddHeatmap(Popularity(c));
  if (c.slices.empty()) {
    return;
  }
  Heatmap time;
  time.title = "Hottest expert over the mean, by layer and stretch of the trace";
  time.row_title = "layer";
  time.column_title = "stretch";
  time.value_title = "x the mean";
  time.rows = NumberedLabels(c.model.moe_layers);
  time.columns = NumberedLabels(static_cast<int>(c.slices.size()));
  std::vector<double> cells;
  for (int l = 0; l < c.model.moe_layers; ++l) {
    for (const TimeSlice& slice : c.slices) {
      cells.push_back(slice.per_layer[l].max_over_mean);
    }
  }
  time.low = 1;
  time.high = Largest(cells);
  time.frames.push_back({"", std::move(cells), {}});
  page->AddHeatmap(time);
}

void AddDomains(const Characterization& c, HtmlReport* page) {
  page->AddHeading("2. Domains prefer different experts");
  std::vector<std::vector<std::string>> rows = {{"domain", "requests", "tokens", "two halves",
                                                 "hottest expert", "prefill/decode", "lift",
                                                 "hottest experts (layer:expert, x mean)"}};
  for (const DomainProfile& d : c.domains) {
    std::string hottest;
    for (const HotExpert& hot : d.hottest) {
      absl::StrAppendFormat(&hottest, "%s%d:%d %.1f", hottest.empty() ? "" : ", ", hot.layer,
                            hot.expert, hot.over_mean);
    }
    rows.push_back(
        {DomainLabel(d.domain), absl::StrCat(d.requests), absl::StrFormat("%.0f", d.tokens),
         d.within_cosine.has_value() ? absl::StrFormat("%.3f", *d.within_cosine) : "-",
         absl::StrFormat("%.2f", d.max_over_mean),
         d.prefill_decode.has_value() ? absl::StrFormat("%.2f", d.prefill_decode->correlation)
                                      : "-",
         absl::StrFormat("%.2f", d.lift), hottest});
  }
  page->AddTable(rows);
  if (c.pairs.empty()) {
    return;
  }
  const size_t n = c.domains.size();
  Heatmap map;
  map.title = "Likeness of domains: cosine of their expert counts, mean over layers (dots: twins)";
  map.row_title = map.column_title = "domain";
  map.value_title = "cosine";
  map.rows = map.columns = DomainNames(c);
  std::vector<double> cells(n * n, 1);
  std::vector<bool> marks(n * n, false);
  Heatmap layers;
  layers.title = "Likeness of pairs of domains, by layer";
  layers.row_title = "pair";
  layers.column_title = "layer";
  layers.value_title = "cosine";
  layers.columns = NumberedLabels(c.model.moe_layers);
  std::vector<double> layer_cells;
  double least = 1;
  for (const PairProfile& pair : c.pairs) {
    const DomainPair& p = pair.similarity;
    cells[p.a * n + p.b] = cells[p.b * n + p.a] = p.cosine;
    marks[p.a * n + p.b] = marks[p.b * n + p.a] = pair.twins;
    layers.rows.push_back(absl::StrCat(map.rows[p.a], " - ", map.rows[p.b]));
    layer_cells.insert(layer_cells.end(), p.per_layer.begin(), p.per_layer.end());
    least = std::min(least, *std::min_element(p.per_layer.begin(), p.per_layer.end()));
  }
  map.low = layers.low = least;
  map.frames.push_back({"", std::move(cells), std::move(marks)});
  layers.frames.push_back({"", std::move(layer_cells), {}});
  page->AddHeatmap(map);
  page->AddHeatmap(layers);
}

void AddPhases(const Characterization& c, HtmlReport* page) {
  page->AddHeading("3. Prefill predicts decode");
  Heatmap map;
  map.title = "Correlation of expert counts in prefill and decode, by domain and layer";
  map.row_title = "domain";
  map.column_title = "layer";
  map.value_title = "correlation";
  map.columns = NumberedLabels(c.model.moe_layers);
  std::vector<double> cells;
  for (const DomainProfile& domain : c.domains) {
    if (domain.prefill_decode.has_value()) {
      map.rows.push_back(DomainLabel(domain.domain));
      const std::vector<double>& layers = domain.prefill_decode->per_layer;
      cells.insert(cells.end(), layers.begin(), layers.end());
    }
  }
  if (map.rows.empty()) {
    page->AddText("The trace has no tokens of both phases, request by request.");
    return;
  }
  map.low = std::min(0.0, *std::min_element(cells.begin(), cells.end()));
  map.frames.push_back({"", std::move(cells), {}});
  page->AddText(
      "A request can be placed by its prompt as far as what its domain uses in prefill is what it "
      "uses in decode.");
  page->AddHeatmap(map);
}

void AddPairsOfExperts(const Characterization& c, HtmlReport* page) {
  page->AddHeading("4. Experts go together");
  if (c.model.top_k == 1) {
    page->AddText("A token has one expert: there are no pairs.");
    return;
  }
  page->AddText(absl::StrFormat(
      "Two experts of one token are %.2f x as often together as their popularity alone would have "
      "it, inside a domain. Counts cannot show this; whole tokens do.",
      c.lift));
  Chart lift = ByLayer("Pairs of experts against chance, by layer", "x chance");
  lift.series.push_back(SeriesOf("all domains", c.co_activation, &CoActivation::lift));
  page->AddChart(lift);
  Chart share = ByLayer("Share of all pairs held by the most frequent tenth", "share of pairs");
  share.series.push_back(SeriesOf("seen", c.co_activation, &CoActivation::top_share));
  share.series.push_back(SeriesOf("by chance", c.co_activation, &CoActivation::top_share_chance));
  page->AddChart(share);
}

}  // namespace

HtmlReport CharacterizePage(const Characterization& c) {
  HtmlReport page(
      absl::StrCat("What the routing of ", c.model.name, " has to give"),
      absl::StrFormat("%d layers x %d experts, top-%d; %d requests, %.0f tokens (%s). "
                      "Source: %s",
                      c.model.moe_layers, c.model.experts, c.model.top_k, c.requests, c.tokens,
                      ToString(c.phase), c.source.empty() ? "not stated" : c.source));
  AddImbalance(c, &page);
  AddDomains(c, &page);
  AddPhases(c, &page);
  AddPairsOfExperts(c, &page);
  return page;
}

}  // namespace advisor::client
