#include "client/replay/simulated_node.h"

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;

const ModelSpec kModel = SmallModel(2, 8, 2);

class SimulatedNodeTest : public ::testing::Test {
 protected:
  SimulatedNodeTest()
      : rng_(1),
        topology_(*Topology::Uniform(2, 2, 3)),
        traffic_(RandomTraffic(kModel, 6, 2, &rng_)),
        ledger_(traffic_, topology_, {0, 1, 2, 3, 4, 5}, 6),
        node_(traffic_, NodeId(1),
              {[this](EngineStep step) { steps_.push_back(std::move(step)); },
               [this](Position p, AckPhase phase, uint64_t step) {
                 confirms_ +=
                     std::to_string(p.revision) + (phase == AckPhase::kStaged
                                                       ? " staged;"
                                                       : " applied@" + std::to_string(step) + ";");
               }}) {}

  std::shared_ptr<const Plan> MakePlan(uint64_t revision) {
    auto plan = std::make_shared<Plan>();
    plan->model = kModel;
    plan->topology = topology_;
    plan->position = {1, revision};
    plan->placement = RandomPlacement(kModel, topology_, &rng_);
    return plan;
  }
  void Step() { node_.Step(&ledger_, &ended_); }

  Rng rng_;
  Topology topology_;
  Traffic traffic_;
  Ledger ledger_;
  std::vector<EngineStep> steps_;
  std::vector<int> ended_;
  std::string confirms_;
  SimulatedNode node_;
};

TEST_F(SimulatedNodeTest, PrefillsInOneStepThenMakesATokenAStep) {
  node_.Admit(0, 0);
  node_.Admit(2, 2);
  for (int i = 0; i < 100 && node_.live() > 0; ++i) {
    Step();
  }
  EXPECT_EQ(ended_.size(), 2u);
  std::vector<uint16_t> got;
  uint32_t tokens = 0;
  for (const EngineStep& step : steps_) {
    for (const TokenBlock& block : step.blocks) {
      size_t row = 0;
      for (const TokenBlock::Rows& rows : block.requests) {
        const size_t ids = rows.tokens * size_t(kModel.moe_layers) * kModel.top_k;
        if (rows.request_id == traffic_.requests[0].id) {
          got.insert(got.end(), block.experts.begin() + row, block.experts.begin() + row + ids);
          EXPECT_EQ(rows.tokens > 1,
                    block.phase == Phase::kPrefill && traffic_.requests[0].prompt_tokens > 1);
        }
        row += ids;
        tokens += rows.tokens;
      }
      EXPECT_EQ(row, block.experts.size());
    }
  }
  EXPECT_EQ(got, traffic_.requests[0].experts);
  EXPECT_EQ(tokens,
            static_cast<uint32_t>(traffic_.requests[0].tokens + traffic_.requests[2].tokens));
  EXPECT_EQ(ledger_.tokens(), tokens);
  const size_t before = steps_.size();
  Step();
  EXPECT_EQ(steps_.size(), before);  // an idle engine makes no steps
}

TEST_F(SimulatedNodeTest, ObeysPrepareAndCommitBetweenSteps) {
  node_.Admit(0, 0);
  Step();
  node_.OnPlacement(MakePlan(1), PlacementMode::kPrepare);
  Step();
  EXPECT_EQ(steps_.back().applied, Position{});  // staged, not switched
  node_.OnDecision({{1, 1}, true, ""});
  EXPECT_EQ(node_.applied(), Position{});
  Step();
  EXPECT_EQ(steps_.back().applied, (Position{1, 1}));
  EXPECT_EQ(confirms_, "1 staged;1 applied@3;");
  ASSERT_OK_AND_ASSIGN(const std::vector<PartFigures> parts, ledger_.Figure());
  EXPECT_EQ(parts.size(), 2u);
}

TEST_F(SimulatedNodeTest, AbortsAndAdviceChangeNothing) {
  node_.OnPlacement(MakePlan(1), PlacementMode::kPrepare);
  node_.OnDecision({{1, 1}, false, ""});
  node_.OnDecision({{1, 1}, true, ""});  // too late
  node_.OnPlacement(MakePlan(2), PlacementMode::kAdvisory);
  node_.Admit(0, 0);
  Step();
  EXPECT_EQ(node_.applied(), Position{});
  EXPECT_EQ(node_.advisory()->position, (Position{1, 2}));
}

TEST_F(SimulatedNodeTest, AnIdleEngineSwitchesInAnEmptyStep) {
  node_.OnPlacement(MakePlan(3), PlacementMode::kInForce);
  Step();
  ASSERT_EQ(steps_.size(), 1u);
  EXPECT_TRUE(steps_[0].blocks.empty());
  EXPECT_EQ(steps_[0].applied, (Position{1, 3}));
  EXPECT_EQ(confirms_, "3 staged;3 applied@1;");
}

}  // namespace
}  // namespace advisor::client
