#include "core/cost/microbatch_experts.h"

#include <map>
#include <set>
#include <vector>

#include "tests/support/random_traffic.h"
#include "tests/support/status_matchers.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;
using ::testing::ElementsAre;

// The definition played with sets, one microbatch after the other.
std::optional<double> Naive(const Traffic& traffic, const std::vector<NodeId>& homes,
                            const std::vector<Microbatch>& microbatches) {
  double sum = 0, steps = 0;
  std::set<std::pair<int, int>> places;
  for (size_t i = 0; i < homes.size(); ++i) {
    places.emplace(homes[i].value(), microbatches[i]);
  }
  for (const auto& place : places) {
    std::vector<std::pair<int, int>> waiting, running;  // request, next token
    for (size_t i = 0; i < homes.size(); ++i) {
      const Request& r = traffic.requests[i];
      if (std::pair(homes[i].value(), microbatches[i]) == place && !r.counts_only() &&
          r.prompt_tokens < r.tokens) {
        waiting.emplace_back(i, r.prompt_tokens);
      }
    }
    const size_t full = std::min<size_t>(waiting.size(), kRequestsTogether);
    while (full > 0) {
      while (running.size() < full && !waiting.empty()) {
        running.push_back(waiting.front());
        waiting.erase(waiting.begin());
      }
      if (running.size() < full) {
        break;
      }
      for (int l = 0; l < traffic.model.moe_layers; ++l) {
        std::set<int> chosen;
        for (auto [i, token] : running) {
          const uint16_t* ids = traffic.requests[i].token(traffic.model, token, l);
          chosen.insert(ids, ids + traffic.model.top_k);
        }
        sum += double(chosen.size());
      }
      ++steps;
      std::vector<std::pair<int, int>> left;
      for (auto [i, token] : running) {
        if (token + 1 < traffic.requests[i].tokens) {
          left.emplace_back(i, token + 1);
        }
      }
      running = left;
    }
  }
  return steps > 0 ? std::optional(sum / steps / traffic.model.moe_layers) : std::nullopt;
}

TEST(DistinctExpertsTest, IsTheDefinitionPlayedWithSets) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    Traffic traffic = RandomTraffic(SmallModel(3, 24, 3), 80, 3, &rng);
    traffic.requests[5] = SumsOf(traffic.model, traffic.requests[5]);
    traffic.requests[7].prompt_tokens = traffic.requests[7].tokens;
    std::vector<NodeId> homes;
    std::vector<Microbatch> microbatches;
    for (int i = 0; i < 80; ++i) {
      homes.push_back(NodeId(static_cast<int>(rng.Below(3))));
      microbatches.push_back(static_cast<int>(rng.Below(2)));
    }
    const std::optional<double> got = DistinctExpertsPerMicrobatch(traffic, homes, microbatches);
    ASSERT_TRUE(got.has_value());
    EXPECT_NEAR(*got, *Naive(traffic, homes, microbatches), 1e-9);
    EXPECT_GT(*got, 3);
    EXPECT_LE(*got, 24);
  }
}

TEST(DistinctExpertsTest, NothingDecodesNothingIsKnown) {
  Rng rng(1);
  Traffic traffic = RandomTraffic(SmallModel(2, 8, 2), 2, 1, &rng);
  EXPECT_FALSE(DistinctExpertsPerMicrobatch({traffic.model, "", {}}, {}, {}).has_value());
  for (Request& r : traffic.requests) {
    r.prompt_tokens = r.tokens;
  }
  EXPECT_FALSE(DistinctExpertsPerMicrobatch(traffic, {NodeId(0), NodeId(0)}, {0, 1}).has_value());
}

TEST(DealMicrobatchesTest, CountsOnEveryNodeApart) {
  EXPECT_THAT(DealMicrobatches({NodeId(0), NodeId(1), NodeId(0), NodeId(0), NodeId(1)}, 2),
              ElementsAre(0, 0, 1, 0, 1));
}

}  // namespace
}  // namespace advisor
