#include "client/report/html.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "client/report/assets.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

// JSON that an HTML parser reads as nothing but text.
std::string ScriptJson(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return absl::StrReplaceAll(text, {{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}});
}

const char* NameOf(Chart::Kind kind) {
  return kind == Chart::Kind::kLine ? "line" : kind == Chart::Kind::kScatter ? "scatter" : "bar";
}

// Two hexadecimal digits a cell, 00 at `low` and ff at `high`: a page may hold a million cells.
std::string Quantised(const Heatmap& heatmap, const std::vector<double>& cells) {
  const double range = heatmap.high > heatmap.low ? heatmap.high - heatmap.low : 1;
  std::string out;
  out.reserve(2 * cells.size());
  for (const double cell : cells) {
    const double share = std::isfinite(cell) ? (cell - heatmap.low) / range : 0;
    absl::StrAppendFormat(&out, "%02x", std::lround(255 * std::clamp(share, 0.0, 1.0)));
  }
  return out;
}

std::string TableHtml(const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class=\"wide\"><table>\n";
  for (size_t r = 0; r < rows.size(); ++r) {
    const char* tag = r == 0 ? "th" : "td";
    absl::StrAppend(&out, "<tr>");
    for (const std::string& cell : rows[r]) {
      absl::StrAppend(&out, "<", tag, ">", EscapeHtml(cell), "</", tag, ">");
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  return out + "</table></div>\n";
}

std::vector<std::vector<std::string>> NumbersOf(const Chart& chart) {
  std::vector<std::vector<std::string>> rows = {{"series", chart.x_title, chart.y_title, ""}};
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& p : series.points) {
      const auto position = static_cast<size_t>(std::max(0.0, p.x));
      const bool labelled = chart.kind == Chart::Kind::kBar && position < chart.labels.size();
      rows.push_back({series.name, labelled ? chart.labels[position] : absl::StrFormat("%.4g", p.x),
                      absl::StrFormat("%.4g", p.y), p.note});
    }
  }
  return rows;
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

HtmlReport::HtmlReport(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

void HtmlReport::AddHeading(absl::string_view text) {
  absl::StrAppend(&body_, "<h2>", EscapeHtml(text), "</h2>\n");
}

void HtmlReport::AddText(absl::string_view text) {
  absl::StrAppend(&body_, "<p>", EscapeHtml(text), "</p>\n");
}

void HtmlReport::AddTable(const std::vector<std::vector<std::string>>& rows) {
  absl::StrAppend(&body_, TableHtml(rows));
}

void HtmlReport::AddChart(const Chart& chart) {
  Json json = {{"kind", NameOf(chart.kind)},
               {"x", chart.x_title},
               {"y", chart.y_title},
               {"labels", chart.labels},
               {"series", Json::array()}};
  for (const ChartSeries& series : chart.series) {
    Json points = Json::array();
    for (const ChartPoint& p : series.points) {
      points.push_back({{"x", p.x}, {"y", p.y}, {"note", p.note}});
    }
    json["series"].push_back({{"name", series.name}, {"points", std::move(points)}});
  }
  absl::StrAppend(&body_, "<figure class=\"chart\"><figcaption>", EscapeHtml(chart.title),
                  "</figcaption>\n<div class=\"plot\"><canvas role=\"img\" aria-label=\"",
                  EscapeHtml(chart.title), "\"></canvas></div>\n<script type=\"application/json\">",
                  ScriptJson(json), "</script>\n<details><summary>Numbers</summary>\n",
                  TableHtml(NumbersOf(chart)), "</details></figure>\n");
}

void HtmlReport::AddHeatmap(const Heatmap& heatmap) {
  Json json = {{"row", heatmap.row_title},     {"column", heatmap.column_title},
               {"value", heatmap.value_title}, {"rows", heatmap.rows},
               {"columns", heatmap.columns},   {"low", heatmap.low},
               {"high", heatmap.high},         {"frames", Json::array()}};
  for (const Heatmap::Frame& frame : heatmap.frames) {
    std::string marks;
    for (const bool mark : frame.marks) {
      marks += mark ? '1' : '0';
    }
    json["frames"].push_back(
        {{"name", frame.name}, {"cells", Quantised(heatmap, frame.cells)}, {"marks", marks}});
  }
  absl::StrAppend(&body_, "<figure class=\"heatmap\"><figcaption>", EscapeHtml(heatmap.title),
                  "</figcaption>\n");
  if (heatmap.frames.size() > 1) {
    absl::StrAppend(&body_, "<label><input type=\"range\" min=\"0\" max=\"",
                    heatmap.frames.size() - 1, "\" value=\"0\"> <span></span></label>\n");
  }
  absl::StrAppend(&body_, "<canvas role=\"img\" aria-label=\"", EscapeHtml(heatmap.title),
                  "\"></canvas>\n<output>&nbsp;</output>\n<script type=\"application/json\">",
                  ScriptJson(json), "</script></figure>\n");
}

std::string HtmlReport::ToHtml() const {
  return absl::StrCat("<!DOCTYPE html>\n<!-- Contains\n", kChartJsLicence,
                      "-->\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
                      EscapeHtml(title_), "</title>\n<style>\n", kPageCss, "</style>\n<script>\n",
                      kChartJs, "\n</script></head>\n<body><main>\n<h1>", EscapeHtml(title_),
                      "</h1>\n<p class=\"lead\">", EscapeHtml(subtitle_),
                      "</p>\n<noscript><p>Charts and heatmaps need JavaScript.</p></noscript>\n",
                      body_, "</main>\n<script>\n", kPageJs, "</script>\n</body></html>\n");
}

std::vector<std::string> NumberedLabels(int count) {
  std::vector<std::string> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(absl::StrCat(i));
  }
  return out;
}

}  // namespace advisor::client
