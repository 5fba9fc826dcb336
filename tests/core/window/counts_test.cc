#include "core/window/counts.h"

#include <tuple>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/slow_window.h"

namespace advisor {
namespace {

using testing::Encode;
using ::testing::HasSubstr;
using testing::RandomSums;
using testing::Sums;

class CountsTest : public ::testing::TestWithParam<std::tuple<int, bool, int>> {
 protected:
  int width() const { return std::get<0>(GetParam()); }
  bool sparse() const { return std::get<1>(GetParam()); }
  ModelSpec model_ = testing::SmallModel(5, std::get<2>(GetParam()), 3);
  Rng rng_{11};
};

TEST_P(CountsTest, AddsWhatWasEncoded) {
  for (const uint64_t tokens : {0, 1, 7, 200}) {
    const Sums sums = RandomSums(model_, tokens, &rng_);
    std::vector<uint32_t> cells(sums.cells.size(), 5);
    ASSERT_FALSE(AddChecked(model_, Encode(sums.cells, model_.experts, width(), sparse()), tokens,
                            cells.data())
                     .has_value());
    for (size_t i = 0; i < cells.size(); ++i) {
      ASSERT_EQ(cells[i], sums.cells[i] + 5);
    }
  }
}

TEST_P(CountsTest, NarrowCellsGoRound) {
  const Sums sums = RandomSums(model_, 200, &rng_);
  std::vector<uint16_t> cells(sums.cells.size(), 65'500);
  const EncodedCounts counts = Encode(sums.cells, model_.experts, width(), sparse());
  ASSERT_FALSE(AddChecked(model_, counts, 200, cells.data()).has_value());
  const std::vector<uint16_t> before = cells;
  for (size_t i = 0; i < cells.size(); ++i) {
    ASSERT_EQ(cells[i], static_cast<uint16_t>(sums.cells[i] + 65'500));
  }
  ASSERT_TRUE(AddChecked(model_, counts, 201, cells.data()).has_value());
  EXPECT_EQ(cells, before);
}

TEST_P(CountsTest, FaultLeavesCellsAsTheyWere) {
  for (int layer = 0; layer < model_.moe_layers; ++layer) {
    Sums sums = RandomSums(model_, 20, &rng_);
    ++sums.cells[size_t(layer) * model_.experts + rng_.Below(model_.experts)];
    std::vector<uint32_t> cells(sums.cells.size(), 9);
    const auto fault =
        AddChecked(model_, Encode(sums.cells, model_.experts, width(), sparse()), 20, cells.data());
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->layer, layer);
    EXPECT_EQ(cells, std::vector<uint32_t>(cells.size(), 9));
    EXPECT_EQ(CheckLaws(model_, 20, sums.cells.data())->layer, layer);
  }
}

TEST_P(CountsTest, CountAboveTokens) {
  Sums sums = RandomSums(model_, 10, &rng_);
  uint32_t* layer = &sums.cells[size_t(2) * model_.experts];
  std::fill_n(layer, model_.experts, 0);
  layer[1] = 11;
  layer[2] = 10;
  layer[3] = 9;
  std::vector<uint32_t> cells(sums.cells.size(), 0);
  const auto fault =
      AddChecked(model_, Encode(sums.cells, model_.experts, width(), sparse()), 10, cells.data());
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->reason, RejectReason::kCountAboveTokens);
  EXPECT_EQ(fault->layer, 2);
  EXPECT_THAT(fault->message, HasSubstr("counted 11 times, the block has 10"));
}

// The largest counts of each width, over more experts than a row's sum is stretched over.
TEST_P(CountsTest, RowsOfTheLargestCountsAreSummed) {
  const uint32_t largest = width() == 1 ? 0xff : width() == 2 ? 0xffff : 0x7fffffff;
  const ModelSpec model = testing::SmallModel(1, 700, 700);
  const std::vector<uint32_t> counts(700, largest);
  std::vector<uint32_t> cells(700, 0);
  EXPECT_FALSE(
      AddChecked(model, Encode(counts, 700, width(), sparse()), largest, cells.data()).has_value());
  EXPECT_EQ(cells, counts);
}

TEST_P(CountsTest, EveryWrongLengthIsAShapeFault) {
  const Sums sums = RandomSums(model_, 10, &rng_);
  const EncodedCounts good = Encode(sums.cells, model_.experts, width(), sparse());
  std::vector<uint32_t> cells(sums.cells.size(), 0);
  for (size_t size = 0; size < good.data.size() + 9; ++size) {
    EncodedCounts bad = good;
    bad.data.resize(size, '\0');
    if (size != good.data.size()) {
      const auto fault = AddChecked(model_, bad, 10, cells.data());
      ASSERT_TRUE(fault.has_value()) << size;
      EXPECT_EQ(fault->reason, RejectReason::kShape);
    }
  }
  EXPECT_EQ(cells, std::vector<uint32_t>(cells.size(), 0));
}

INSTANTIATE_TEST_SUITE_P(All, CountsTest,
                         ::testing::Combine(::testing::Values(1, 2, 4), ::testing::Bool(),
                                            ::testing::Values(8, 13, 64)));

TEST(CountsShapeTest, BitmapBeyondTheLastExpert) {
  const ModelSpec model = testing::SmallModel(1, 13, 1);
  EncodedCounts counts{1, true, std::string("\x01\x80\x01\x01", 4)};
  std::vector<uint32_t> cells(13, 0);
  const auto fault = AddChecked(model, counts, 2, cells.data());
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->reason, RejectReason::kShape);
}

TEST(CountsShapeTest, WidthAndTokensHaveLimits) {
  const ModelSpec model = testing::SmallModel(1, 8, 1);
  std::vector<uint32_t> cells(8, 0);
  EXPECT_EQ(AddChecked(model, {3, false, std::string(24, '\0')}, 0, cells.data())->reason,
            RejectReason::kShape);
  EXPECT_EQ(AddChecked(model, {1, false, std::string(8, '\0')}, kMaxBlockTokens + 1, cells.data())
                ->reason,
            RejectReason::kTooManyTokens);
}

TEST(CountsShapeTest, RandomBytesNeverWriteOutside) {
  const ModelSpec model = testing::SmallModel(3, 21, 2);
  Rng rng(5);
  std::vector<uint32_t> cells(3 * 21 + 2, 0);
  for (int i = 0; i < 20000; ++i) {
    EncodedCounts counts{1 << rng.Below(3), rng.Below(2) == 0, ""};
    counts.data.resize(rng.Below(80));
    for (char& c : counts.data) {
      c = static_cast<char>(rng.Below(4) == 0 ? rng.Next() : 0);
    }
    AddChecked(model, counts, rng.Below(4), cells.data() + 1);
    ASSERT_EQ(cells.front(), 0u);
    ASSERT_EQ(cells.back(), 0u);
  }
}

}  // namespace
}  // namespace advisor
