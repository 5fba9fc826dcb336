#include "core/window/spread.h"

#include "core/window/counts.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/slow_window.h"

namespace advisor {
namespace {

TEST(SpreadTest, PiecesObeyTheLawsAreEvenAndAddUp) {
  const ModelSpec model = testing::SmallModel(3, 12, 4);
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const uint64_t tokens = rng.Below(60);
    const uint64_t pieces = 1 + rng.Below(9);
    const testing::Sums lump = testing::RandomSums(model, tokens, &rng);
    std::vector<uint32_t> sum(lump.cells.size(), 0);
    uint64_t sum_tokens = 0;
    for (uint64_t i = 0; i < pieces; ++i) {
      const Spread spread(tokens, pieces, i, i + 1);
      std::vector<uint32_t> piece(lump.cells.size(), 0);
      spread.AddTo(model, lump.cells, &piece);
      ASSERT_FALSE(CheckLaws(model, spread.tokens(), piece.data()).has_value());
      for (size_t c = 0; c < piece.size(); ++c) {
        ASSERT_LE(piece[c], lump.cells[c] / pieces + 2);
        sum[c] += piece[c];
      }
      sum_tokens += spread.tokens();
    }
    EXPECT_EQ(sum, lump.cells);
    EXPECT_EQ(sum_tokens, tokens);
  }
}

TEST(SpreadTest, SeveralPiecesAtOnceAreTheirSum) {
  const ModelSpec model = testing::SmallModel(2, 9, 2);
  Rng rng(4);
  const testing::Sums lump = testing::RandomSums(model, 53, &rng);
  std::vector<uint32_t> apart(lump.cells.size(), 0), together(lump.cells.size(), 0);
  for (uint64_t i = 2; i < 6; ++i) {
    Spread(53, 7, i, i + 1).AddTo(model, lump.cells, &apart);
  }
  Spread(53, 7, 2, 6).AddTo(model, lump.cells, &together);
  EXPECT_EQ(apart, together);
}

}  // namespace
}  // namespace advisor
