#include "client/ctl/table.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace advisor::client {
namespace {

// Characters of UTF-8 text.
size_t Width(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

enum class Unit { kNumber, kCount, kPercent };

struct FigureRow {
  const char* name;
  Unit unit;
  std::optional<double> (*get)(const Figures&);
};

constexpr FigureRow kRows[] = {
    {"saving_ratio", Unit::kPercent, [](const Figures& f) { return f.saving_ratio; }},
    {"remote_activation_saving_ratio", Unit::kPercent,
     [](const Figures& f) { return f.remote_activation_saving_ratio; }},
    {"internode_bytes_per_token", Unit::kCount,
     [](const Figures& f) { return f.internode_bytes_per_token; }},
    {"remote_visits_per_token_layer", Unit::kNumber,
     [](const Figures& f) { return f.remote_visits_per_token_layer; }},
    {"remote_activation_ratio", Unit::kPercent,
     [](const Figures& f) -> std::optional<double> { return f.remote_activation_ratio; }},
    {"node_load mean", Unit::kNumber,
     [](const Figures& f) -> std::optional<double> { return f.node_load.mean; }},
    {"node_load worst", Unit::kNumber,
     [](const Figures& f) -> std::optional<double> { return f.node_load.worst; }},
    {"gpu_load mean", Unit::kNumber,
     [](const Figures& f) -> std::optional<double> { return f.gpu_load.mean; }},
    {"gpu_load worst", Unit::kNumber,
     [](const Figures& f) -> std::optional<double> { return f.gpu_load.worst; }},
    {"max_pair_message", Unit::kNumber, [](const Figures& f) { return f.max_pair_message; }},
    {"home_token_max_over_mean", Unit::kNumber,
     [](const Figures& f) -> std::optional<double> { return f.home_token_max_over_mean; }},
    {"distinct_experts_per_microbatch", Unit::kNumber,
     [](const Figures& f) { return f.distinct_experts_per_microbatch; }},
    {"modelled_moe_ms_per_step", Unit::kNumber,
     [](const Figures& f) { return f.modelled_moe_ms_per_step; }},
    {"modelled_gpu_utilisation", Unit::kPercent,
     [](const Figures& f) { return f.modelled_gpu_utilisation; }},
    {"modelled_baseline_moe_ms_per_step", Unit::kNumber,
     [](const Figures& f) { return f.modelled_baseline_moe_ms_per_step; }},
    {"modelled_baseline_gpu_utilisation", Unit::kPercent,
     [](const Figures& f) { return f.modelled_baseline_gpu_utilisation; }},
    {"tokens", Unit::kCount,
     [](const Figures& f) -> std::optional<double> { return static_cast<double>(f.tokens); }},
};

std::string Shown(Unit unit, double value) {
  switch (unit) {
    case Unit::kPercent:
      return Percent(value);
    case Unit::kCount:
      return absl::StrFormat("%.0f", value);
    case Unit::kNumber:
      break;
  }
  return absl::StrFormat("%.3f", value);
}

std::string Cell(const FigureRow& row, const FiguresColumn& column) {
  const std::optional<double> value = row.get(column.figures);
  if (!value.has_value()) {
    return "-";
  }
  const std::string text = Shown(row.unit, *value);
  return column.runs == 1
             ? text
             : absl::StrCat(text, " ± ", Shown(row.unit, row.get(column.spread).value_or(0)));
}

}  // namespace

Table::Table(std::vector<std::string> titles) { rows_.push_back(std::move(titles)); }

void Table::AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

std::string Table::ToText() const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t c = 0; c < widths.size(); ++c) {
      widths[c] = std::max(widths[c], Width(row[c]));
    }
  }
  std::string text;
  for (const auto& row : rows_) {
    for (size_t c = 0; c < widths.size(); ++c) {
      const std::string padding(widths[c] - Width(row[c]), ' ');
      if (c > 0) {
        absl::StrAppend(&text, "  ", padding, row[c]);
      } else {
        absl::StrAppend(&text, row[c], widths.size() > 1 ? padding : "");
      }
    }
    text += '\n';
  }
  return text;
}

std::string DomainLabel(const std::string& domain) { return domain.empty() ? "(none)" : domain; }

std::string Percent(double ratio) { return absl::StrFormat("%.1f %%", 100 * ratio); }

std::string FiguresTable(const std::vector<FiguresColumn>& columns) {
  return FiguresRows(columns).ToText();
}

std::string Sparkline(const std::vector<double>& values) {
  static constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  if (values.empty()) {
    return "";
  }
  const auto [least, largest] = std::minmax_element(values.begin(), values.end());
  const double range = *largest - *least;
  std::string out;
  for (const double value : values) {
    out += kBlocks[range > 0 ? std::lround(7 * (value - *least) / range) : 0];
  }
  return out;
}

Table FiguresRows(const std::vector<FiguresColumn>& columns) {
  std::vector<std::string> titles = {""};
  for (const FiguresColumn& column : columns) {
    titles.push_back(column.title);
  }
  Table table(std::move(titles));
  for (const FigureRow& row : kRows) {
    std::vector<std::string> cells = {row.name};
    for (const FiguresColumn& column : columns) {
      cells.push_back(Cell(row, column));
    }
    if (std::any_of(cells.begin() + 1, cells.end(),
                    [](const std::string& cell) { return cell != "-"; })) {
      table.AddRow(std::move(cells));
    }
  }
  return table;
}

}  // namespace advisor::client
