#include "core/model/model_identity.h"

#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor {
namespace {

TEST(ModelIdentityTest, NamesWhatDiffersAndNothingElse) {
  const ModelSpec model = testing::SmallModel(2, 8, 2);
  ModelSpec other = model;
  other.hidden_size += 1;  // no part of it
  EXPECT_EQ(ModelFingerprint(other), ModelFingerprint(model));
  EXPECT_EQ(IdentityDifference(other, model), "");
  other.experts = 64;
  other.expert_bytes = 7;
  EXPECT_EQ(IdentityDifference(other, model), "experts 64 against 8, expert_bytes 7 against 1000");
  EXPECT_EQ(IdentityText(model),
            "name small, moe_layers 2, experts 8, top_k 2, expert_groups 0, groups_per_token 0, "
            "expert_bytes 1000");
}

}  // namespace
}  // namespace advisor
