#include "core/window/statistics.h"

#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

const ModelSpec kModel = testing::SmallModel(1, 4, 1);

DomainCounts Counts(std::string name, std::vector<uint32_t> prefill, std::vector<uint32_t> decode) {
  DomainCounts d;
  d.domain = std::move(name);
  d.counts[0] = std::move(prefill);
  d.counts[1] = std::move(decode);
  for (int p = 0; p < kPhases; ++p) {
    for (const uint32_t c : d.counts[p]) {
      d.tokens[p] += c;
    }
  }
  return d;
}

TEST(StatisticsTest, DriftSeesAShiftInsideADomain) {
  const std::vector<DomainCounts> before = {Counts("a", {}, {100, 0, 0, 0})};
  EXPECT_NEAR(Drift(kModel, before, {Counts("a", {}, {300, 0, 0, 0})}, PhaseFilter::kAll), 0,
              1e-12);
  EXPECT_NEAR(Drift(kModel, before, {Counts("a", {}, {0, 50, 0, 0})}, PhaseFilter::kAll), 1, 1e-12);
  EXPECT_NEAR(Drift(kModel, before, {Counts("a", {}, {30, 40, 0, 0})}, PhaseFilter::kAll), 0.4,
              1e-12);
}

TEST(StatisticsTest, DriftSeesAShiftOfTheMix) {
  // Both domains use the same experts: only the mix moves.
  const std::vector<DomainCounts> before = {Counts("a", {}, {30, 0, 0, 0}),
                                            Counts("b", {}, {40, 0, 0, 0})};
  EXPECT_NEAR(Drift(kModel, before, {Counts("b", {}, {40, 0, 0, 0})}, PhaseFilter::kAll), 0.2,
              1e-12);
  EXPECT_EQ(DomainDrift(kModel, before, Counts("b", {}, {40, 0, 0, 0}), PhaseFilter::kAll), 0);
}

TEST(StatisticsTest, DriftLooksAtItsPhase) {
  const std::vector<DomainCounts> before = {Counts("a", {10, 0, 0, 0}, {10, 0, 0, 0})};
  const std::vector<DomainCounts> now = {Counts("a", {0, 10, 0, 0}, {10, 0, 0, 0})};
  EXPECT_NEAR(Drift(kModel, before, now, PhaseFilter::kDecode), 0, 1e-12);
  EXPECT_NEAR(Drift(kModel, before, now, PhaseFilter::kPrefill), 1, 1e-12);
  EXPECT_EQ(Drift(kModel, {}, now, PhaseFilter::kAll), 0);
}

TEST(StatisticsTest, CorrelationNeedsBothPhases) {
  EXPECT_FALSE(PrefillDecodeCorrelation(kModel, Counts("a", {400, 0, 0, 0}, {})).has_value());
  EXPECT_NEAR(*PrefillDecodeCorrelation(kModel, Counts("a", {400, 0, 0, 0}, {800, 0, 0, 0})), 1,
              1e-12);
  EXPECT_NEAR(*PrefillDecodeCorrelation(kModel, Counts("a", {400, 0, 0, 0}, {0, 800, 0, 0})),
              -1.0 / 3, 1e-12);
}

}  // namespace
}  // namespace advisor
