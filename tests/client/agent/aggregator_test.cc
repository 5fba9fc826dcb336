#include "client/agent/aggregator.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "core/cost/evaluate.h"
#include "proto/convert/counts.h"
#include "tests/client/agent/steps.h"
#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor::client {
namespace {

using ::advisor::testing::IsOk;
using ::advisor::testing::RandomPlacement;
using ::advisor::testing::RandomRemoteChoice;
using ::advisor::testing::SmallModel;
using ::advisor::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::RandomIds;
using testing::StepBuilder;

const ModelSpec kModel = SmallModel(3, 12, 4);

Topology Nodes(int nodes) { return *Topology::Uniform(nodes, 2, std::max(1, 12 / nodes)); }

struct Slow {
  // Domain, phase, layer, expert.
  std::map<std::tuple<std::string, Phase, int, int>, uint32_t> counts;
  std::map<std::pair<std::string, Phase>, uint64_t> tokens, visits;
  std::map<std::pair<std::string, Phase>, double> baseline;
};

// The same sums, a token at a time, the baseline by playing every home.
void AddSlowly(const Topology& topology, const Plan& plan, NodeId home, const std::string& domain,
               Phase phase, const std::vector<uint16_t>& ids, Slow* slow) {
  const ServeTable serve(kModel, topology, plan.placement, plan.remote_choice);
  const ServeTable linear(kModel, topology, LinearPlacement(kModel, topology), {});
  const std::pair key(domain, phase);
  for (size_t at = 0; at < ids.size(); at += kModel.top_k) {
    const int layer = static_cast<int>(at / kModel.top_k % kModel.moe_layers);
    for (int k = 0; k < kModel.top_k; ++k) {
      ++slow->counts[{domain, phase, layer, ids[at + k]}];
    }
    slow->tokens[key] += layer == 0;
    slow->visits[key] +=
        RemoteVisits(&ids[at], kModel.top_k, serve.ServeRow(layer, home.value()), home.value());
    for (int h = 0; h < topology.node_count(); ++h) {
      slow->baseline[key] += RemoteVisits(&ids[at], kModel.top_k, linear.ServeRow(layer, h), h) /
                             static_cast<double>(topology.node_count());
    }
  }
}

TEST(AggregatorTest, AgreesWithCountingTokenByToken) {
  for (int nodes : {1, 2, 3, 6, 20, 40}) {
    Rng rng(7 + nodes);
    const Topology topology = Nodes(nodes);
    Plan plan;
    plan.model = kModel;
    plan.topology = topology;
    plan.position = {1, 4};
    plan.placement = RandomPlacement(kModel, topology, &rng);
    plan.remote_choice = RandomRemoteChoice(kModel, topology, plan.placement, &rng);
    const NodeId home(nodes - 1);
    Aggregator aggregator(kModel, topology, home, 0);
    aggregator.AddPlacement(plan);
    Slow slow;
    for (uint64_t n = 1; n <= 20; ++n) {
      StepBuilder builder(n, plan.position);
      for (const auto& [domain, phase] :
           {std::pair("law", Phase::kDecode), std::pair("", Phase::kPrefill),
            std::pair("law", Phase::kPrefill)}) {
        const std::vector<uint16_t> ids =
            RandomIds(kModel, 1 + static_cast<int>(rng.Below(5)), &rng);
        builder.Tokens(kModel, domain, phase, ids);
        AddSlowly(topology, plan, home, domain, phase, ids, &slow);
      }
      ASSERT_THAT(aggregator.Check(builder.step()), IsOk());
      aggregator.Count(builder.step());
    }
    EXPECT_EQ(aggregator.sums().steps, 20u);
    const Frame frame = EncodeSums(aggregator.sums(), kModel.experts, nodes);
    EXPECT_EQ(frame.applied_hash, PlacementHash(plan));
    ASSERT_EQ(frame.blocks.size(), 3u);
    for (const ReportBlock& block : frame.blocks) {
      const std::pair key(block.domain, block.phase);
      EXPECT_EQ(block.tokens, slow.tokens[key]);
      EXPECT_EQ(block.visit_tokens, slow.tokens[key]);
      EXPECT_EQ(block.remote_visits, slow.visits[key]);
      EXPECT_NEAR(block.baseline_remote_visits, slow.baseline[key], 1e-9 * block.tokens);
      ASSERT_OK_AND_ASSIGN(const std::vector<uint32_t> counts,
                           DecodeCounts(block.counts, kModel.moe_layers, kModel.experts));
      for (int l = 0; l < kModel.moe_layers; ++l) {
        for (int e = 0; e < kModel.experts; ++e) {
          EXPECT_EQ(counts[l * kModel.experts + e],
                    (slow.counts[{block.domain, block.phase, l, e}]));
        }
      }
    }
  }
}

TEST(AggregatorTest, CountsOfStepsAddUpWithTokens) {
  Rng rng(3);
  const Topology topology = Nodes(2);
  Aggregator tokens(kModel, topology, NodeId(0), 0), mixed(kModel, topology, NodeId(0), 0);
  const std::vector<uint16_t> a = RandomIds(kModel, 4, &rng), b = RandomIds(kModel, 3, &rng);
  StepBuilder both(1);
  both.Tokens(kModel, "d", Phase::kDecode, a).Tokens(kModel, "d", Phase::kDecode, b);
  tokens.Count(both.step());

  std::vector<uint32_t> sums(size_t(kModel.moe_layers) * kModel.experts, 0);
  for (size_t i = 0; i < b.size(); ++i) {
    ++sums[i / kModel.top_k % kModel.moe_layers * kModel.experts + b[i]];
  }
  const EncodedCounts encoded = EncodeCounts(sums, kModel.experts);
  StepBuilder half(1);
  half.Tokens(kModel, "d", Phase::kDecode, a);
  StepBlock counts;
  counts.domain = "d";
  counts.tokens = 3;
  counts.counts = &encoded;
  std::vector<StepBlock> blocks(half.step().blocks.begin(), half.step().blocks.end());
  blocks.push_back(counts);
  Step step = half.step();
  step.blocks = blocks;
  ASSERT_THAT(mixed.Check(step), IsOk());
  mixed.Count(step);
  EXPECT_EQ(mixed.sums().blocks[0].counts, tokens.sums().blocks[0].counts);
  EXPECT_EQ(mixed.sums().blocks[0].tokens, 7u);
  EXPECT_EQ(mixed.sums().blocks[0].visit_tokens, 4u);  // counts show no visits
}

TEST(AggregatorTest, VisitsUnderAnUnknownPlacementAreNotGuessed) {
  Rng rng(5);
  Aggregator aggregator(kModel, Nodes(2), NodeId(0), 0);
  StepBuilder builder(1, {9, 9});
  builder.Tokens(kModel, "d", Phase::kDecode, RandomIds(kModel, 4, &rng));
  aggregator.Count(builder.step());
  EXPECT_EQ(aggregator.sums().blocks[0].tokens, 4u);
  EXPECT_EQ(aggregator.sums().blocks[0].visit_tokens, 0u);
  EXPECT_EQ(aggregator.sums().applied_hash, 0u);
}

TEST(AggregatorTest, DomainsBeyondTheLimitCountAsOther) {
  Rng rng(5);
  Aggregator aggregator(kModel, Nodes(2), NodeId(0), 0);
  for (int d = 0; d < 200; ++d) {
    StepBuilder builder(d + 1);
    builder.Tokens(kModel, absl::StrCat("d", d), Phase::kDecode, RandomIds(kModel, 1, &rng));
    aggregator.Count(builder.step());
  }
  EXPECT_EQ(aggregator.sums().blocks.size(), kMaxDomains);
  EXPECT_EQ(aggregator.sums().tokens, 200u);
  EXPECT_EQ(aggregator.sums().blocks.back().domain, kOtherDomain);
  EXPECT_EQ(aggregator.sums().blocks.back().tokens, 200u - (kMaxDomains - 1));
}

TEST(AggregatorTest, BadStepsAreNamed) {
  Aggregator aggregator(kModel, Nodes(2), NodeId(0), 0);
  auto refused = [&](StepBuilder& builder, const std::string& text) {
    EXPECT_THAT(aggregator.Check(builder.step()),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr("step 7 block 1"), HasSubstr(text))));
  };
  const std::vector<uint16_t> good = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
  auto second = [&](std::vector<uint16_t> ids, std::vector<RequestRows> rows = {}) {
    StepBuilder builder(7);
    builder.Tokens(kModel, "a", Phase::kDecode, good)
        .Tokens(kModel, "b", Phase::kDecode, ids, rows);
    return builder;
  };
  std::vector<uint16_t> out_of_range = good, doubled = good, cut = good;
  out_of_range[6] = 12;
  doubled[9] = doubled[8];
  cut.pop_back();
  auto b1 = second(out_of_range);
  refused(b1, "token 0 layer 1: expert 12 is out of range, must be 0 .. 11");
  auto b2 = second(doubled);
  refused(b2, "token 0 layer 2: expert 0 is named twice");
  auto b3 = second(cut);
  refused(b3, "experts has 11 bytes, must have 0");
  auto b4 = second(good, {{"r", 2}});
  refused(b4, "the requests have 2 tokens, the block has 1");
  auto b5 = second(good, {{"", 1}});
  refused(b5, "request_id has 0 bytes, must have 1 .. 256");
  StepBuilder counts(7);
  counts.Tokens(kModel, "a", Phase::kDecode, good)
      .Counts("b", Phase::kDecode, 1, std::string(36, '\1'));
  refused(counts, "layer 0: counts sum to 12, must be 1 tokens x top_k 4 = 4");
  StepBuilder high(7);
  std::string four(36, '\0');
  four[0] = 4;
  high.Tokens(kModel, "a", Phase::kDecode, good).Counts("b", Phase::kDecode, 1, four);
  refused(high, "layer 0: an expert is counted 4 times, the block has 1 tokens");
  StepBuilder size(7);
  size.Tokens(kModel, "a", Phase::kDecode, good)
      .Counts("b", Phase::kDecode, 1, std::string(35, '\0'));
  refused(size, "35 bytes of counts, must be");
  StepBuilder name(7);
  name.Tokens(kModel, "a", Phase::kDecode, good).Tokens(kModel, "b\n", Phase::kDecode, good);
  refused(name, "must be printable");
  EXPECT_EQ(aggregator.sums().steps, 0u);
}

// Rows of eight are checked in a way of their own.
TEST(AggregatorTest, EveryDoubleInARowOfEightIsFound) {
  for (const int experts : {40, 256}) {
    const ModelSpec model = SmallModel(2, experts, 8);
    Aggregator aggregator(model, *Topology::Uniform(2, 2, experts / 4), NodeId(0), 0);
    Rng rng(static_cast<uint64_t>(experts));
    const auto check = [&](const std::vector<uint16_t>& ids) {
      StepBuilder builder(1);
      builder.Tokens(model, "d", Phase::kDecode, ids);
      return aggregator.Check(builder.step());
    };
    for (int round = 0; round < 20; ++round) {
      const std::vector<uint16_t> good = RandomIds(model, 5, &rng);
      ASSERT_THAT(check(good), IsOk());
      const size_t row = 8 * rng.Below(10);
      for (size_t i = 0; i < 8; ++i) {
        for (size_t j = i + 1; j < 8; ++j) {
          std::vector<uint16_t> bad = good;
          bad[row + j] = bad[row + i];
          EXPECT_THAT(check(bad),
                      StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr(absl::StrCat("token ", row / 16, " layer ", row / 8 % 2,
                                                      ": expert ", bad[row + i], " is named"))));
        }
        std::vector<uint16_t> bad = good;
        bad[row + i] = static_cast<uint16_t>(experts);
        if (experts < 256) {
          EXPECT_THAT(check(bad),
                      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("out of range")));
        }
      }
    }
  }
}

TEST(AggregatorTest, WideModelsUseTwoBytesPerExpert) {
  const ModelSpec wide = SmallModel(2, 300, 2);
  Aggregator aggregator(wide, *Topology::Uniform(2, 1, 150), NodeId(0), 16);
  const uint16_t ids[] = {299, 0, 256, 255};
  StepBuilder builder(1);
  StepBlock block;
  block.domain = "d";
  block.tokens = 1;
  block.experts = std::string_view(reinterpret_cast<const char*>(ids), sizeof(ids));
  Step step = builder.step();
  step.blocks = absl::MakeConstSpan(&block, 1);
  ASSERT_THAT(aggregator.Check(step), IsOk());
  aggregator.Count(step);
  EXPECT_EQ(aggregator.sums().blocks[0].counts[299], 1u);
  EXPECT_EQ(aggregator.sums().blocks[0].counts[300 + 256], 1u);
  EXPECT_EQ(aggregator.sums().blocks[0].remote_visits, 2u);
}

}  // namespace
}  // namespace advisor::client
