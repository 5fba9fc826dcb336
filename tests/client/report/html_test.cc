#include "client/report/html.h"

#include <regex>

#include "client/report/assets.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Names that a peer could give to a model, a node or a domain.
const char* const kHostile[] = {
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)",
    "' onfocus='alert(1)",
    "<!--<script>",
    "&lt;script&gt;",
    "]]></title><svg/onload=alert(1)>",
    "{{constructor}} ${alert(1)} \\u003cscript\\u003e",
    "caf\xc3\xa9 \xe2\x80\xa8 line",
    "\xff\xfe not UTF-8",
};

// The same page with `name` wherever a text goes.
std::string PageWith(const std::string& name) {
  HtmlReport page(name, name);
  page.AddHeading(name);
  page.AddText(name);
  page.AddTable({{name, name}, {name, name}});
  Chart chart;
  chart.title = chart.x_title = chart.y_title = name;
  chart.labels = {name};
  chart.series = {{name, {{0, 1, name}}}};
  chart.kind = Chart::Kind::kBar;
  page.AddChart(chart);
  Heatmap map;
  map.title = map.row_title = map.column_title = map.value_title = name;
  map.rows = map.columns = {name};
  map.frames = {{name, {0.5}, {true}}, {name, {0.25}, {}}};
  page.AddHeatmap(map);
  return page.ToHtml();
}

// What a browser takes for tags: everything from '<' and a letter, '/' or '!' to '>', scripts'
// insides left out.
std::vector<std::string> Tags(const std::string& html) {
  std::vector<std::string> tags;
  for (size_t at = 0; (at = html.find('<', at)) != std::string::npos;) {
    const size_t end = html.find('>', at);
    tags.push_back(html.substr(at, end - at + 1));
    const bool raw = tags.back().rfind("<script", 0) == 0 || tags.back().rfind("<style", 0) == 0;
    const std::string close = tags.back().rfind("<style", 0) == 0 ? "</style" : "</script";
    at = raw ? html.find(close, end) : end;
  }
  return tags;
}

std::string WithoutAttributes(const std::string& tag) { return tag.substr(0, tag.find(' ')); }

TEST(HtmlTest, NoNameAddsATagOrAnAttribute) {
  std::vector<std::string> plain;
  for (const std::string& tag : Tags(PageWith("plain"))) {
    plain.push_back(WithoutAttributes(tag));
  }
  for (const char* name : kHostile) {
    const std::string html = PageWith(name);
    std::vector<std::string> got;
    for (const std::string& tag : Tags(html)) {
      got.push_back(WithoutAttributes(tag));
      // Inside a tag, a name can only be the quoted value of aria-label.
      const std::string attributes = std::regex_replace(tag, std::regex("\"[^\"]*\""), "");
      EXPECT_THAT(attributes, Not(HasSubstr("alert"))) << tag;
    }
    EXPECT_EQ(got, plain) << name;
  }
}

TEST(HtmlTest, DataComesBackAsItWasGiven) {
  const std::regex block("<script type=\"application/json\">([^<]*)</script>");
  for (const char* name : kHostile) {
    if (std::string(name).find('\xff') != std::string::npos) {
      continue;  // replaced: JSON is UTF-8
    }
    const std::string html = PageWith(name);
    std::vector<nlohmann::json> blocks;
    for (std::sregex_iterator i(html.begin(), html.end(), block), end; i != end; ++i) {
      blocks.push_back(nlohmann::json::parse((*i)[1].str()));
    }
    ASSERT_EQ(blocks.size(), 2u) << name;
    EXPECT_EQ(blocks[0]["series"][0]["name"], name);
    EXPECT_EQ(blocks[0]["series"][0]["points"][0]["note"], name);
    EXPECT_EQ(blocks[1]["frames"][0]["name"], name);
    EXPECT_EQ(blocks[1]["frames"][0]["cells"], "80");  // half of 0 .. 1
    EXPECT_EQ(blocks[1]["frames"][0]["marks"], "1");
  }
}

TEST(HtmlTest, ThePageStandsAlone) {
  const std::string html = PageWith("plain");
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
  for (const std::string& tag : Tags(html)) {
    EXPECT_THAT(tag, Not(HasSubstr(" src="))) << tag;
    EXPECT_THAT(tag, Not(HasSubstr(" href="))) << tag;
  }
  EXPECT_THAT(std::string(kPageCss), Not(HasSubstr("url(")));
  EXPECT_THAT(std::string(kPageCss), HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(std::string(kChartJs), HasSubstr("Chart.js v"));
  EXPECT_THAT(std::string(kChartJs), Not(HasSubstr("</script")));
  EXPECT_THAT(html, HasSubstr(kChartJsLicence));
}

TEST(HtmlTest, CellsBeyondTheScaleTakeItsEnds) {
  HtmlReport page("t", "s");
  Heatmap map;
  map.rows = {"r"};
  map.columns = NumberedLabels(5);
  map.low = 1;
  map.high = 3;
  map.frames = {{"", {0, 1, 2, 3, 9}, {}}};
  page.AddHeatmap(map);
  EXPECT_THAT(page.ToHtml(), HasSubstr("\"cells\":\"000080ffff\""));
}

}  // namespace
}  // namespace advisor::client
