// Runs every tests/golden/*.txt: commands up to a line "----", and below it what they must bring.
// ADVISOR_REWRITE=1 writes the output found instead; commit it only if you understand it and want
// it.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/golden/script.h"

namespace advisor {
namespace {

std::filesystem::path Folder() {
  return std::filesystem::path(std::getenv("ADVISOR_SOURCE_DIR")) / "tests" / "golden";
}

std::vector<std::string> Scripts() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(Folder())) {
    if (entry.path().extension() == ".txt" && entry.path().stem() != "CMakeLists") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

class GoldenTest : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenTest, DecidesAsWritten) {
  const std::filesystem::path path = Folder() / (GetParam() + ".txt");
  std::ifstream in(path);
  std::string line, commands, want;
  testing::Script script;
  while (std::getline(in, line) && line != "----") {
    commands += line + "\n";
    if (!line.empty() && line[0] != '#') {
      ASSERT_TRUE(script.Run(line)) << path << ": not a command: " << line;
    }
  }
  std::stringstream rest;
  rest << in.rdbuf();
  if (std::getenv("ADVISOR_REWRITE") != nullptr) {
    std::ofstream(path) << commands << "----\n" << script.output();
    return;
  }
  EXPECT_EQ(script.output(), rest.str()) << path;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenTest, ::testing::ValuesIn(Scripts()), [](const auto& script) {
  std::string name = script.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

}  // namespace
}  // namespace advisor
