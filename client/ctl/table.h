#ifndef ADVISOR_CLIENT_CTL_TABLE_H_
#define ADVISOR_CLIENT_CTL_TABLE_H_

#include <string>
#include <vector>

#include "core/model/figures.h"

namespace advisor::client {

// Aligned plain text: the first column to the left, the others to the right, two spaces between.
class Table {
 public:
  explicit Table(std::vector<std::string> titles);
  void AddRow(std::vector<std::string> cells);  // as many as titles
  std::string ToText() const;
  const std::vector<std::vector<std::string>>& rows() const { return rows_; }  // titles first

 private:
  std::vector<std::vector<std::string>> rows_;  // titles first
};

// What stands for a request's domain in tables and charts: "(none)" for an empty one.
std::string DomainLabel(const std::string& domain);

// One decimal: 0.2846 is "28.5 %".
std::string Percent(double ratio);

// Figures side by side: a row per figure under the contract's names, a column per entry. What no
// column has is left out.
struct FiguresColumn {
  std::string title;
  Figures figures;
  Figures spread = {};  // standard deviations, shown where `runs` > 1
  int runs = 1;
};
Table FiguresRows(const std::vector<FiguresColumn>& columns);
std::string FiguresTable(const std::vector<FiguresColumn>& columns);  // as text

// One block character a value, from the least to the largest: how values go along layers or time.
std::string Sparkline(const std::vector<double>& values);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_TABLE_H_
