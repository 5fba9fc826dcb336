#include "client/replay/sequence.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"

namespace advisor::client {
namespace {

Traffic Domains(const std::vector<std::pair<std::string, int>>& counts) {
  Traffic traffic;
  traffic.model = advisor::testing::SmallModel(1, 4, 1);
  int left = 1;
  for (int i = 0; left > 0; ++i) {  // mixed, as traces are
    left = 0;
    for (const auto& [domain, count] : counts) {
      if (i < count) {
        Request r;
        r.domain = domain;
        r.tokens = 10;
        r.id = domain + std::to_string(i);
        traffic.requests.push_back(std::move(r));
      }
      left += i + 1 < count;
    }
  }
  return traffic;
}

TEST(SequenceTest, EveryRequestIsPlayedOnce) {
  for (bool shift : {false, true}) {
    for (const auto& counts : std::vector<std::vector<std::pair<std::string, int>>>{
             {{"a", 10}, {"b", 10}},
             {{"a", 50}, {"b", 3}},
             {{"a", 1}},
             {{"a", 7}, {"b", 7}, {"c", 1}, {"d", 9}}}) {
      const Traffic traffic = Domains(counts);
      const Sequence sequence = MakeSequence(traffic, shift);
      std::vector<int> sorted = sequence.order, all(traffic.requests.size());
      std::sort(sorted.begin(), sorted.end());
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(sorted, all);
      EXPECT_LE(sequence.second_half, all.size());
    }
  }
}

TEST(SequenceTest, TheMixShiftsHalfWay) {
  const Traffic traffic = Domains({{"a", 25}, {"b", 25}, {"c", 25}, {"d", 25}});
  const Sequence sequence = MakeSequence(traffic, true);
  ASSERT_EQ(sequence.first_mix.size(), 2u);
  ASSERT_EQ(sequence.second_mix.size(), 2u);
  int first_mix[2] = {0, 0};
  for (size_t i = 0; i < sequence.order.size(); ++i) {
    const std::string& domain = traffic.requests[sequence.order[i]].domain;
    first_mix[i >= sequence.second_half] +=
        std::count(sequence.first_mix.begin(), sequence.first_mix.end(), domain);
  }
  EXPECT_EQ(first_mix[0], 45);
  EXPECT_EQ(first_mix[1], 5);
  // The few of the other mix are spread, not bunched.
  const std::string& early = traffic.requests[sequence.order[12]].domain;
  int others = 0;
  for (int i = 0; i < 25; ++i) {
    const std::string& domain = traffic.requests[sequence.order[i]].domain;
    others += std::count(sequence.second_mix.begin(), sequence.second_mix.end(), domain);
  }
  EXPECT_GE(others, 2);
  EXPECT_LE(others, 3);
  EXPECT_FALSE(early.empty());
}

TEST(SequenceTest, OneDomainCannotShift) {
  const Sequence sequence = MakeSequence(Domains({{"", 8}}), true);
  EXPECT_TRUE(sequence.first_mix.empty());
  EXPECT_TRUE(std::is_sorted(sequence.order.begin(), sequence.order.end()));
}

}  // namespace
}  // namespace advisor::client
