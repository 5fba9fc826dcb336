#include "client/replay/report.h"

#include <nlohmann/json.hpp>

#include "gmock/gmock.h"

namespace advisor::client {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PartFigures Part(int half, uint64_t revision, double visits, double baseline) {
  PartFigures part;
  part.key = {half, revision == 0 ? Position{} : Position{1, revision}};
  part.requests = 10;
  part.decode_tokens = 700;
  part.all_tokens = 1000;
  for (Figures* measured : {&part.decode, &part.all}) {
    measured->remote_visits_per_token_layer = visits;
    measured->internode_bytes_per_token = visits * 1000;
    measured->node_load = {1.05, 1.2};
    measured->gpu_load = {1.11, 1.3};
    measured->saving_ratio = 1 - visits / baseline;
  }
  for (Figures* linear : {&part.baseline_decode, &part.baseline_all}) {
    linear->remote_visits_per_token_layer = baseline;
    linear->internode_bytes_per_token = baseline * 1000;
  }
  if (revision != 0) {
    auto plan = std::make_shared<Plan>();
    plan->predicted.emplace();
    plan->predicted->figures.saving_ratio = 0.345;
    part.plan = plan;
  }
  return part;
}

ReplayResult MadeUp() {
  ReplayResult result;
  result.deployment = "chat";
  result.topology = *Topology::Uniform(2, 1, 4);
  result.sequence.first_mix = {"law"};
  result.sequence.second_mix = {"code"};
  result.parts = {Part(0, 0, 2, 2), Part(0, 1, 1.5, 2), Part(1, 1, 1.8, 2), Part(1, 2, 1.4, 2)};
  result.requests = 40;
  result.tokens = 4000;
  result.steps = 500;
  result.remarks = {"something to know"};
  return result;
}

v1::ListPlansResponse Plans() {
  v1::ListPlansResponse plans;
  v1::PlanSummary& newer = *plans.add_plans();
  newer.mutable_position()->set_epoch(1);
  newer.mutable_position()->set_revision(2);
  newer.set_reason(v1::DECISION_REASON_DRIFT);
  newer.set_moved_slots(77);
  newer.set_moved_bytes(3'200'000'000);
  v1::PlanSummary& older = *plans.add_plans();
  older.mutable_position()->set_epoch(1);
  older.mutable_position()->set_revision(1);
  older.set_reason(v1::DECISION_REASON_FIRST_PLAN);
  return plans;
}

TEST(ReplayReportTest, PartsAreNamedByWhatHappened) {
  const ReplayResult result = MadeUp();
  EXPECT_EQ(PartName(result, 0), "warm-up, initial placement");
  EXPECT_EQ(PartName(result, 1), "plan 1.1");
  EXPECT_EQ(PartName(result, 2), "mix shifted, plan 1.1");
  EXPECT_EQ(PartName(result, 3), "recovery, plan 1.2");
  ReplayResult steady = result;
  steady.sequence.second_mix.clear();
  EXPECT_EQ(PartName(steady, 3), "second half, plan 1.2");
}

TEST(ReplayReportTest, SyntheticAndPhaselessSourcesAreCalledSo) {
  EXPECT_THAT(SourceNote("Synthetic, preset deepseek-v3"), HasSubstr("SYNTHETIC"));
  EXPECT_THAT(SourceNote("github.com/x/y"), HasSubstr("stand-in"));
  EXPECT_THAT(SourceNote("recorded; phases as served"), Not(HasSubstr("stand-in")));
  EXPECT_THAT(SourceNote(""), HasSubstr("does not say"));
}

TEST(ReplayReportTest, TextShowsMeasuredBesideBaselineAndPrediction) {
  const std::string text = ReplayText(MadeUp(), Plans());
  EXPECT_THAT(text, HasSubstr("1500 (2000)"));
  EXPECT_THAT(text, HasSubstr("1.500 (2.000)"));
  EXPECT_THAT(text, HasSubstr("25.0 %     34.5 %"));
  EXPECT_THAT(text, HasSubstr("something to know"));
  // Oldest plan first, as things happened.
  EXPECT_LT(text.find("first_plan"), text.find("drift"));
  EXPECT_THAT(text, HasSubstr("3.2 GB"));
}

TEST(ReplayReportTest, JsonHasTheSame) {
  const auto json =
      nlohmann::json::parse(ReplayJson(MadeUp(), Plans(), "synthetic"), nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["parts"].size(), 4u);
  EXPECT_EQ(json["parts"][1]["revision"], 1);
  EXPECT_DOUBLE_EQ(json["parts"][1]["decode"]["saving_ratio"], 0.25);
  EXPECT_DOUBLE_EQ(json["parts"][1]["predicted_saving_ratio"], 0.345);
  EXPECT_FALSE(json["parts"][0].contains("predicted_saving_ratio"));
  EXPECT_EQ(json["plans"][0]["reason"], "drift");
  EXPECT_EQ(json["remarks"][0], "something to know");
}

}  // namespace
}  // namespace advisor::client
