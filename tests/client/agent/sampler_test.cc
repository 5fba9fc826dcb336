#include "client/agent/sampler.h"

#include <map>
#include <set>

#include "core/base/rng.h"
#include "gtest/gtest.h"

namespace advisor::client {
namespace {

const std::vector<std::string> kDomains = {"a", "b"};

TEST(SamplerTest, WithRoomEveryRequestIsTakenWholeWithItsPositions) {
  Sampler sampler(1, 100);
  sampler.Add(0, Phase::kPrefill, 11, "xyz", 3);
  sampler.Add(0, Phase::kDecode, 11, "1", 1);
  sampler.Add(0, Phase::kDecode, 11, "2", 1);
  std::vector<SampledRequest> first = sampler.Take(kDomains);
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].experts, "xyz");
  EXPECT_EQ(first[0].phase, Phase::kPrefill);
  EXPECT_EQ(first[1].experts, "12");
  EXPECT_EQ(first[1].first_token, 0u);
  EXPECT_EQ(first[1].domain, "a");
  sampler.Add(0, Phase::kDecode, 11, "3", 1);
  std::vector<SampledRequest> second = sampler.Take(kDomains);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].first_token, 2u);  // goes on where the last frame ended
}

TEST(SamplerTest, KeepsTheSmallestKeysWhateverTheirOrder) {
  auto taken = [](bool reversed) {
    Sampler sampler(1, 4);
    std::set<uint64_t> keys;
    for (int i = 0; i < 200; ++i) {
      const int n = reversed ? 199 - i : i;
      sampler.Add(0, Phase::kDecode, n, "t", 1);
    }
    for (const SampledRequest& s : sampler.Take(kDomains)) {
      keys.insert(Mix64(s.request_key));
    }
    return keys;
  };
  const std::set<uint64_t> keys = taken(false);
  EXPECT_EQ(keys, taken(true));
  std::set<uint64_t> all;
  for (int i = 0; i < 200; ++i) {
    all.insert(Mix64(i));
  }
  EXPECT_EQ(keys.size(), 16u);  // four budgets
  EXPECT_TRUE(std::equal(keys.begin(), keys.end(), all.begin()));
}

TEST(SamplerTest, SettlesNearTheBudgetAndFollowsRequestsToTheirEnd) {
  const int budget = 20;
  Sampler sampler(1, budget);
  std::map<uint64_t, uint32_t> next;  // position expected of each taken request
  double tokens = 0;
  int frames = 0, whole = 0, ended = 0;
  // 64 live requests at a time, each 40 frames long, 4 tokens a frame.
  for (int frame = 0; frame < 600; ++frame) {
    for (int lane = 0; lane < 64; ++lane) {
      sampler.Add(0, Phase::kDecode, (frame + lane) / 40 * 64 + lane, "abcd", 4);
    }
    for (const SampledRequest& s : sampler.Take(kDomains)) {
      EXPECT_EQ(s.first_token, next[s.request_key]);
      next[s.request_key] += static_cast<uint32_t>(s.experts.size());
      if (frame >= 200) {
        tokens += static_cast<double>(s.experts.size());
      }
    }
    frames += frame >= 200;
  }
  EXPECT_GT(tokens / frames, budget * 0.4);
  EXPECT_LT(tokens / frames, budget * 2.0);
  for (const auto& [key, length] : next) {
    ++ended;
    whole += length == 160;
  }
  EXPECT_GT(whole, ended / 2);  // the others began in the first frames, or are not over
}

TEST(SamplerTest, OnePromptCannotFillAFrame) {
  Sampler sampler(2, 10);
  const std::string prompt(2 * 5000, 'p');
  sampler.Add(0, Phase::kPrefill, 5, prompt.data(), 5000);
  const std::vector<SampledRequest> samples = sampler.Take(kDomains);
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(samples[0].experts.size(), 2u * 40);
}

TEST(SamplerTest, NoBudgetTakesNothing) {
  Sampler sampler(1, 0);
  sampler.Add(0, Phase::kDecode, 1, "a", 1);
  sampler.AddRow(1, Phase::kDecode, 2, "a");
  EXPECT_TRUE(sampler.Take(kDomains).empty());
}

}  // namespace
}  // namespace advisor::client
