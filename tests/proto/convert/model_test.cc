#include "proto/convert/model.h"

#include <string>

#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;
using testing::StatusIs;

ModelSpec FullModel() {
  ModelSpec model = testing::SmallModel(3, 16, 2);
  model.hidden_layers = 8;
  model.moe_layer_indices = {1, 3, 5};
  model.expert_groups = 4;
  model.groups_per_token = 2;
  model.dispatch_bytes_per_value = 1.5;
  model.combine_bytes_per_value = 2.5;
  return model;
}

TEST(ModelConvertTest, EveryFieldReturns) {
  ASSERT_OK_AND_ASSIGN(const ModelSpec model, FromProto(ToProto(FullModel())));
  EXPECT_EQ(model, FullModel());
}

TEST(ModelConvertTest, RefusesWhatValidateRefuses) {
  v1::Model model = ToProto(FullModel());
  model.set_experts(4'000'000'000u);  // above what core counts in
  EXPECT_THAT(FromProto(model), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("experts")));
  EXPECT_FALSE(FromProto(v1::Model()).ok());
}

TEST(TopologyConvertTest, EveryFieldReturns) {
  ASSERT_OK_AND_ASSIGN(const Topology topology,
                       Topology::Create({{"a", 2, 3, "r0"}, {"b", 1, 6, ""}}));
  ASSERT_OK_AND_ASSIGN(const Topology back, FromProto(ToProto(topology)));
  EXPECT_EQ(back, topology);
  EXPECT_FALSE(FromProto(v1::Topology()).ok());
}

TEST(FiguresConvertTest, UnsetStaysUnset) {
  Figures figures;
  figures.tokens = 7;
  figures.remote_activation_ratio = 0.25;
  figures.node_load = {1.1, 1.2};
  figures.gpu_load = {1.3, 1.4};
  figures.home_token_max_over_mean = 1.5;
  EXPECT_EQ(FromProto(ToProto(figures)), figures);
  figures.remote_visits_per_token_layer = 1;
  figures.internode_bytes_per_token = 2;
  figures.max_pair_message = 3;
  figures.saving_ratio = 0;
  figures.remote_activation_saving_ratio = -0.5;
  figures.distinct_experts_per_microbatch = 4;
  figures.modelled_moe_ms_per_step = 5;
  figures.modelled_gpu_utilisation = 6;
  figures.modelled_baseline_moe_ms_per_step = 7;
  figures.modelled_baseline_gpu_utilisation = 8;
  EXPECT_EQ(FromProto(ToProto(figures)), figures);
}

TEST(EnumConvertTest, UnknownValuesAreRefused) {
  EXPECT_FALSE(FromProto(v1::PHASE_UNSPECIFIED).ok());
  EXPECT_FALSE(FromProto(static_cast<v1::Phase>(9)).ok());
  EXPECT_FALSE(FromProto(v1::MODE_UNSPECIFIED).ok());
  EXPECT_EQ(*FromProto(ToProto(Phase::kPrefill)), Phase::kPrefill);
  EXPECT_EQ(*FromProto(ToProto(Phase::kDecode)), Phase::kDecode);
  EXPECT_EQ(*FromProto(ToProto(Mode::kActive)), Mode::kActive);
  EXPECT_EQ(*FromProto(ToProto(Mode::kAdvisory)), Mode::kAdvisory);
}

TEST(ValidateIdTest, NamesTheField) {
  EXPECT_TRUE(ValidateId("f", "a-z_0.9").ok());
  for (const std::string& bad : {std::string(), std::string(129, 'a'), std::string("Upper")}) {
    EXPECT_THAT(ValidateId("hello.reporter_id", bad),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hello.reporter_id")));
  }
}

}  // namespace
}  // namespace advisor
