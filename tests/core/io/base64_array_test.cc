#include "core/io/base64_array.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace advisor {
namespace {

TEST(Base64ArrayTest, IsLittleEndian) {
  EXPECT_EQ(EncodeIntegers(std::vector<uint16_t>{0x0102}, 2), "AgE=");
  EXPECT_EQ(EncodeIntegers(std::vector<uint16_t>{0x02}, 1), "Ag==");
  EXPECT_EQ(EncodeIntegers(std::vector<uint32_t>{0x01020304}, 4), "BAMCAQ==");
  EXPECT_EQ(EncodeFloats({1.0f}), "AACAPw==");  // 0x3f800000
}

TEST(Base64ArrayTest, RoundTripsEveryWidthAndLength) {
  for (int width : {1, 2, 4}) {
    for (size_t n = 0; n < 10; ++n) {
      std::vector<uint32_t> values, back;
      for (size_t i = 0; i < n; ++i) {
        values.push_back(static_cast<uint32_t>(0xf1e2d3c4u + i) >> (32 - 8 * width));
      }
      const std::string text = EncodeIntegers(values, width);
      EXPECT_EQ(text.size(), Base64Length(n * width));
      ASSERT_TRUE(DecodeIntegers(text, width, n, &back));
      EXPECT_EQ(back, values);
      EXPECT_FALSE(DecodeIntegers(text, width, n + 1, &back));
    }
  }
}

TEST(Base64ArrayTest, FloatsKeepEveryBit) {
  const std::vector<float> values = {0.1f, -0.0f, std::numeric_limits<float>::denorm_min(),
                                     std::numeric_limits<float>::max(), 3e-20f};
  std::vector<float> back;
  ASSERT_TRUE(DecodeFloats(EncodeFloats(values), values.size(), &back));
  EXPECT_EQ(back, values);
  EXPECT_TRUE(std::signbit(back[1]));
}

TEST(Base64ArrayTest, RefusesWhatIsNotBase64) {
  std::vector<uint16_t> out;
  EXPECT_FALSE(DecodeIntegers(std::string("AA*="), 2, 1, &out));
  EXPECT_FALSE(DecodeIntegers(std::string("AAA"), 2, 1, &out));
  EXPECT_FALSE(DecodeIntegers(std::string("AAAA"), 2, 1, &out));  // three bytes, not two
}

}  // namespace
}  // namespace advisor
