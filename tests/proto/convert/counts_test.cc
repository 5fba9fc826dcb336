#include "proto/convert/counts.h"

#include <utility>

#include "core/base/rng.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

TEST(EncodeCountsTest, TakesTheNarrowestWidthThatHoldsTheLargestCount) {
  EXPECT_EQ(EncodeCounts({255, 1}, 2).width, 1);
  EXPECT_EQ(EncodeCounts({256, 1}, 2).width, 2);
  EXPECT_EQ(EncodeCounts({65535, 1}, 2).width, 2);
  EXPECT_EQ(EncodeCounts({65536, 1}, 2).width, 4);
}

TEST(EncodeCountsTest, IsSparseOnlyWhereThatIsSmaller) {
  const std::vector<uint32_t> dense(64, 3);
  EXPECT_FALSE(EncodeCounts(dense, 32).sparse);
  std::vector<uint32_t> sparse(64, 0);
  sparse[40] = 3;
  const EncodedCounts encoded = EncodeCounts(sparse, 32);
  EXPECT_TRUE(encoded.sparse);
  EXPECT_EQ(encoded.data.size(), 2 * 4 + 1);  // two layers of bitmaps, one count
}

TEST(EncodeCountsTest, DecodesToWhatWasEncoded) {
  Rng rng(1);
  for (int round = 0; round < 200; ++round) {
    const int layers = 1 + static_cast<int>(rng.Below(5));
    const int experts = 1 + static_cast<int>(rng.Below(40));
    const uint32_t zeros = rng.Below(10);
    const uint32_t bound = 1u << (1 + rng.Below(31));
    std::vector<uint32_t> counts(layers * experts);
    for (uint32_t& count : counts) {
      count = rng.Below(10) < zeros ? 0 : rng.Below(bound);
    }
    ASSERT_OK_AND_ASSIGN(
        const std::vector<uint32_t> decoded,
        DecodeCounts(FromProto(ToProto(EncodeCounts(counts, experts))), layers, experts));
    EXPECT_EQ(decoded, counts);
  }
}

TEST(DecodeCountsTest, RefusesEverySizeButTheRightOne) {
  for (const bool sparse : {false, true}) {
    EncodedCounts encoded{2, sparse, std::string(64, '\x11')};
    // All-0x11 bitmaps of 8 experts name 2 of them: 2 layers x (1 + 2 x 2) bytes.
    const size_t right = sparse ? 10 : 32;
    for (size_t size = 0; size <= 64; ++size) {
      encoded.data.assign(size, '\x11');
      EXPECT_EQ(DecodeCounts(encoded, 2, 8).ok(), size == right) << sparse << " " << size;
    }
  }
  EXPECT_THAT(
      DecodeCounts({3, false, "abc"}, 1, 1),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("width 3, must be 1, 2 or 4")));
}

TEST(DecodeExpertsTest, ChecksSizeAndRange) {
  const std::vector<uint16_t> ids = {0, 255, 7};
  ASSERT_OK_AND_ASSIGN(const std::vector<uint16_t> narrow,
                       DecodeExperts(EncodeExperts(ids, 256), 3, 256));
  EXPECT_EQ(narrow, ids);
  ASSERT_OK_AND_ASSIGN(const std::vector<uint16_t> wide,
                       DecodeExperts(EncodeExperts(ids, 257), 3, 257));
  EXPECT_EQ(wide, ids);
  EXPECT_THAT(DecodeExperts(EncodeExperts(ids, 256), 4, 256),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("3 bytes, must have 4 ids")));
  EXPECT_THAT(DecodeExperts(EncodeExperts(ids, 256), 3, 200),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("id 255 at position 1")));
}

}  // namespace
}  // namespace advisor
