// A target without a fuzzer: its seeds, what fuzzers found before (tests/fuzz/found/TARGET/*), and
// mutations of both from a fixed generator.
#include <filesystem>

#include "core/base/rng.h"
#include "gtest/gtest.h"
#include "tests/fuzz/target.h"
#include "tests/support/files.h"

namespace advisor::fuzz {
namespace {

std::vector<std::string> Corpus() {
  std::vector<std::string> corpus = Seeds();
  const std::filesystem::path found = std::filesystem::path(std::getenv("ADVISOR_SOURCE_DIR")) /
                                      "tests/fuzz/found" / ADVISOR_FUZZ_TARGET;
  if (std::filesystem::is_directory(found)) {
    for (const auto& entry : std::filesystem::directory_iterator(found)) {
      corpus.push_back(testing::ReadFile(entry.path().string()));
    }
  }
  return corpus;
}

std::string Mutated(std::string input, Rng* rng) {
  for (uint32_t i = 0; i <= rng->Below(4); ++i) {
    const auto at = rng->Below(static_cast<uint32_t>(input.size()) + 1);
    switch (rng->Below(4)) {
      case 0:
        input.resize(at);
        break;
      case 1:
        input.insert(at, 1, static_cast<char>(rng->Below(256)));
        break;
      case 2:
        input.insert(at, input.substr(at / 2, rng->Below(64)));
        break;
      default:
        if (at < input.size()) {
          input[at] = static_cast<char>(input[at] ^ (1 << rng->Below(8)));
        }
    }
  }
  return input;
}

TEST(FuzzReplayTest, HoldsOnTheCorpusAndAroundIt) {
  const std::vector<std::string> corpus = Corpus();
  ASSERT_FALSE(corpus.empty());
  Rng rng(5);
  for (const std::string& input : corpus) {
    Try(input);
    for (int i = 0; i < 300; ++i) {
      Try(Mutated(input, &rng));
    }
  }
}

}  // namespace
}  // namespace advisor::fuzz
