#include "core/model/model_spec.h"

#include "core/model/deployment.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::StatusIs;
using ::testing::HasSubstr;

ModelSpec DeepSeekV3() {
  ModelSpec m;
  m.name = "deepseek-v3";
  m.moe_layers = 58;
  m.hidden_layers = 61;
  m.first_moe_layer = 3;
  m.experts = 256;
  m.top_k = 8;
  m.expert_groups = 8;
  m.groups_per_token = 4;
  m.hidden_size = 7168;
  return m;
}

TEST(ModelSpecTest, BytesPerVisitIsDispatchPlusCombine) {
  EXPECT_THAT(Validate(DeepSeekV3()), IsOk());
  EXPECT_DOUBLE_EQ(DeepSeekV3().BytesPerVisit(), 7168 * 3.0);
}

TEST(ModelSpecTest, HiddenLayerFollowsFirstLayerOrIndices) {
  ModelSpec m = DeepSeekV3();
  EXPECT_EQ(m.HiddenLayer(57), 60);
  m.moe_layers = 3;
  m.moe_layer_indices = {1, 3, 5};
  EXPECT_EQ(m.HiddenLayer(2), 5);
}

TEST(ModelSpecTest, NamesTheKeyThatIsOutOfRange) {
  ModelSpec m = DeepSeekV3();
  m.top_k = 300;
  EXPECT_THAT(Validate(m), StatusIs(absl::StatusCode::kInvalidArgument,
                                    HasSubstr("model.top_k is 300, must be 1 .. 64")));
  m = DeepSeekV3();
  m.expert_groups = 7;
  EXPECT_THAT(Validate(m), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("must divide")));
  m = DeepSeekV3();
  m.hidden_layers = 60;
  EXPECT_THAT(Validate(m),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hidden layer 60")));
  m = DeepSeekV3();
  m.moe_layer_indices = {1, 3};
  EXPECT_THAT(Validate(m), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2 entries")));
}

TEST(ModelSpecTest, FingerprintTellsModelsApart) {
  ModelSpec other = DeepSeekV3();
  other.top_k = 6;
  EXPECT_EQ(ModelFingerprint(DeepSeekV3()), ModelFingerprint(DeepSeekV3()));
  EXPECT_NE(ModelFingerprint(DeepSeekV3()), ModelFingerprint(other));
}

TEST(DeploymentTest, TellsHowManySlotsAreMissing) {
  ASSERT_OK_AND_ASSIGN(Topology t, Topology::Uniform(4, 8, 7));
  EXPECT_THAT(ValidateCapacity(DeepSeekV3(), t),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("32 slots are missing")));
}

}  // namespace
}  // namespace advisor
