#include "proto/convert/features.h"

#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::StatusIs;

FeatureNames Names(const std::vector<std::string>& names) {
  return FeatureNames(names.begin(), names.end());
}

TEST(FeaturesTest, NamesReturnAndUnknownOnesAreIgnored) {
  for (const Features features : {Features{}, Features{true, false}, Features{false, true}}) {
    EXPECT_EQ(FeaturesNamed(NamesOf(features)), features);
  }
  EXPECT_EQ(FeaturesNamed(Names({"telepathy", "samples", "samples"})), (Features{true, false}));
  EXPECT_THAT(NamesOf({true, true}), ElementsAre("samples", "delta-placement"));
}

TEST(FeaturesTest, WhatBothHaveIsAgreed) {
  EXPECT_EQ((Features{true, true} & Features{false, true}), (Features{false, true}));
}

TEST(FeaturesTest, AnUnknownOneThatIsRequiredIsRefusedByName) {
  EXPECT_EQ(*RequiredFeatures(Names({"samples"})), (Features{true, false}));
  EXPECT_THAT(RequiredFeatures(Names({"samples", "tele\npathy"})),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(StartsWith("FEATURE_MISSING: "), HasSubstr("\"tele\\npathy\""))));
}

}  // namespace
}  // namespace advisor
