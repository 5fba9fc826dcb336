// What is known of two real models, measured on whole sets of which the traces at hand are halves.
#include <cstdlib>

#include "core/io/trace.h"
#include "core/stats/characterize.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

constexpr double kTolerance = 0.03;

struct Known {
  const char* file;
  double within, mean, least, most;  // cosines: halves of a domain, pairs of domains
  const char *least_pair, *most_pair;
  double jaccard;
};

class RealTracesTest : public ::testing::TestWithParam<Known> {};

TEST_P(RealTracesTest, SimilaritiesAreThoseMeasuredElsewhere) {
  const char* traces = std::getenv("ADVISOR_TRACES");
  if (traces == nullptr || *traces == '\0') {
    GTEST_SKIP() << "ADVISOR_TRACES is not set: characterize is not held against real traces";
  }
  const Known& known = GetParam();
  const absl::StatusOr<Traffic> traffic = ReadTrace(std::string(traces) + "/" + known.file);
  ASSERT_TRUE(traffic.ok()) << traffic.status();
  const Characterization found = Characterize(*traffic, {});
  double within = 0, mean = 0, jaccard = 0;
  const PairProfile *least = &found.pairs.front(), *most = least;
  for (const DomainProfile& domain : found.domains) {
    within += domain.within_cosine.value() / static_cast<double>(found.domains.size());
  }
  for (const PairProfile& pair : found.pairs) {
    mean += pair.similarity.cosine / static_cast<double>(found.pairs.size());
    jaccard += pair.jaccard / static_cast<double>(found.pairs.size());
    least = pair.similarity.cosine < least->similarity.cosine ? &pair : least;
    most = pair.similarity.cosine > most->similarity.cosine ? &pair : most;
  }
  const auto name = [&found](const PairProfile& pair) {
    return found.domains[pair.similarity.a].domain + "-" + found.domains[pair.similarity.b].domain;
  };
  EXPECT_NEAR(within, known.within, kTolerance);
  EXPECT_NEAR(mean, known.mean, kTolerance);
  EXPECT_NEAR(jaccard, known.jaccard, kTolerance);
  EXPECT_NEAR(least->similarity.cosine, known.least, kTolerance);
  EXPECT_NEAR(most->similarity.cosine, known.most, kTolerance);
  EXPECT_EQ(name(*least), known.least_pair);
  EXPECT_EQ(name(*most), known.most_pair);
}

INSTANTIATE_TEST_SUITE_P(Models, RealTracesTest,
                         ::testing::Values(Known{"deepseek-v2-lite.jsonl.gz", 0.995, 0.654, 0.588,
                                                 0.729, "summary-translation", "law-summary", 0.08},
                                           Known{"gpt-oss-20b.jsonl.gz", 0.967, 0.786, 0.429, 0.979,
                                                 "math-safety", "history_social-law", 0.26}),
                         [](const auto& test) {
                           return test.index == 0 ? "DeepSeekV2Lite" : "GptOss20b";
                         });

}  // namespace
}  // namespace advisor
