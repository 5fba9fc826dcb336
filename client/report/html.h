#ifndef ADVISOR_CLIENT_REPORT_HTML_H_
#define ADVISOR_CLIENT_REPORT_HTML_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace advisor::client {

// `text` as the content of an element or of a quoted attribute.
std::string EscapeHtml(absl::string_view text);

struct ChartPoint {
  double x = 0, y = 0;
  std::string note;  // shown beside the point's values; may be empty
};
struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
};
struct Chart {
  enum class Kind { kLine, kScatter, kBar };
  Kind kind = Kind::kLine;
  std::string title, x_title, y_title;
  std::vector<std::string> labels;  // kBar: of the positions x = 0, 1, ...
  std::vector<ChartSeries> series;
};

// A matrix in colours. Several frames (layers, say) share a scale and are chosen with a slider.
struct Heatmap {
  struct Frame {
    std::string name;
    std::vector<double> cells;  // [rows, columns]
    std::vector<bool> marks;    // [rows, columns]: cells with a dot; may be empty
  };
  std::string title;
  std::string row_title, column_title, value_title;  // as the line under the pointer says them
  std::vector<std::string> rows, columns;
  double low = 0, high = 1;  // values beyond take the end's colour
  std::vector<Frame> frames;
};

// One HTML page that stands alone: styles, scripts and numbers are inside, it loads nothing, and
// its policy forbids it to. Text and tables are plain HTML; charts and heatmaps are drawn by
// scripts and have their numbers beside them. Any text may come from a peer: all of it is escaped.
class HtmlReport {
 public:
  HtmlReport(std::string title, std::string subtitle);

  void AddHeading(absl::string_view text);
  void AddText(absl::string_view text);
  // Titles first; cells beyond the first column are numbers. Rows as long as the titles.
  void AddTable(const std::vector<std::vector<std::string>>& rows);
  void AddChart(const Chart& chart);
  void AddHeatmap(const Heatmap& heatmap);

  std::string ToHtml() const;

 private:
  std::string title_, subtitle_, body_;
};

// "0", "1", ... as rows or columns of a heatmap.
std::vector<std::string> NumberedLabels(int count);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_REPORT_HTML_H_
