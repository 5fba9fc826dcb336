#include "core/stats/characterize.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/random_traffic.h"
#include "tests/support/traffic_builder.h"

namespace advisor {
namespace {

using ::advisor::testing::RandomTraffic;
using ::advisor::testing::SmallModel;
using ::advisor::testing::SumsOf;
using ::advisor::testing::TrafficBuilder;
using ::testing::ElementsAre;

// ---- The slow way: one layer at a time, straight from the tokens.

using Counts = std::map<int, double>;  // by expert; every expert has an entry

bool InPhase(const Request& r, int token, PhaseFilter phase) {
  return Includes(phase, token < r.prompt_tokens ? Phase::kPrefill : Phase::kDecode);
}

Counts SlowCounts(const ModelSpec& m, const std::vector<const Request*>& requests, int layer,
                  PhaseFilter phase) {
  Counts counts;
  for (int e = 0; e < m.experts; ++e) {
    counts[e] = 0;
  }
  for (const Request* r : requests) {
    for (int t = 0; t < r->tokens; ++t) {
      for (int i = 0; i < m.top_k && InPhase(*r, t, phase); ++i) {
        counts[r->token(m, t, layer)[i]] += 1;
      }
    }
  }
  return counts;
}

double SlowMaxOverMean(const Counts& counts) {
  double sum = 0, largest = 0;
  for (const auto& [e, n] : counts) {
    sum += n;
    largest = std::max(largest, n);
  }
  return largest / (sum / static_cast<double>(counts.size()));
}

double SlowCosine(const Counts& a, const Counts& b) {
  double ab = 0, aa = 0, bb = 0;
  for (const auto& [e, n] : a) {
    ab += n * b.at(e);
    aa += n * n;
    bb += b.at(e) * b.at(e);
  }
  return ab / std::sqrt(aa * bb);
}

std::set<int> SlowTop(Counts counts, int top) {
  std::set<int> out;
  for (int i = 0; i < top; ++i) {
    const auto best =
        std::max_element(counts.begin(), counts.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    out.insert(best->first);  // max_element finds the first of equals: the lowest expert
    counts.erase(best);
  }
  return out;
}

double SlowJaccard(const Counts& a, const Counts& b, int top) {
  const std::set<int> in_a = SlowTop(a, top), in_b = SlowTop(b, top);
  std::set<int> either = in_a, both;
  either.insert(in_b.begin(), in_b.end());
  for (const int e : in_a) {
    if (in_b.count(e) > 0) {
      both.insert(e);
    }
  }
  return static_cast<double>(both.size()) / static_cast<double>(either.size());
}

std::vector<const Request*> Pick(const Traffic& traffic, const std::string& domain) {
  std::vector<const Request*> out;
  for (const Request& r : traffic.requests) {
    if (r.domain == domain) {
      out.push_back(&r);
    }
  }
  return out;
}

class CharacterizeTest : public ::testing::TestWithParam<PhaseFilter> {
 protected:
  CharacterizeTest() : model_(SmallModel(3, 24, 2)) {
    Rng rng(7);
    traffic_ = RandomTraffic(model_, 80, 3, &rng);
    found_ = Characterize(traffic_, {GetParam(), 4, 1});
  }
  ModelSpec model_;
  Traffic traffic_;
  Characterization found_;
};

TEST_P(CharacterizeTest, ImbalanceIsThatOfASlowCount) {
  std::vector<const Request*> all;
  for (const Request& r : traffic_.requests) {
    all.push_back(&r);
  }
  std::vector<double> layers;
  for (int l = 0; l < 3; ++l) {
    layers.push_back(SlowMaxOverMean(SlowCounts(model_, all, l, GetParam())));
    EXPECT_NEAR(found_.per_layer[l].max_over_mean, layers.back(), 1e-12);
  }
  std::sort(layers.begin(), layers.end());
  EXPECT_NEAR(found_.max_over_mean, layers[1], 1e-12);
}

TEST_P(CharacterizeTest, SlicesPartTheTraceAndEachIsThatOfASlowCount) {
  ASSERT_EQ(found_.slices.size(), 4u);
  int next = 0;
  double tokens = 0;
  std::vector<const Request*> last;
  for (const TimeSlice& slice : found_.slices) {
    ASSERT_EQ(slice.first_request, next);
    std::vector<const Request*> own;
    for (int i = 0; i < slice.requests; ++i) {
      own.push_back(&traffic_.requests[next++]);
    }
    double cosine = 0;
    for (int l = 0; l < 3; ++l) {
      const Counts counts = SlowCounts(model_, own, l, GetParam());
      EXPECT_NEAR(slice.per_layer[l].max_over_mean, SlowMaxOverMean(counts), 1e-12);
      cosine += last.empty() ? 0 : SlowCosine(SlowCounts(model_, last, l, GetParam()), counts) / 3;
    }
    EXPECT_EQ(slice.cosine_to_previous.has_value(), !last.empty());
    EXPECT_NEAR(slice.cosine_to_previous.value_or(0), cosine, 1e-12);
    EXPECT_NEAR(slice.tokens, found_.tokens / 4, 12);  // a request has at most 11 tokens
    tokens += slice.tokens;
    last = own;
  }
  EXPECT_EQ(next, 80);
  EXPECT_EQ(tokens, found_.tokens);
}

TEST_P(CharacterizeTest, DomainsAndPairsAreThoseOfASlowCount) {
  ASSERT_EQ(found_.domains.size(), 3u);
  ASSERT_EQ(found_.pairs.size(), 3u);
  for (const PairProfile& pair : found_.pairs) {
    double cosine = 0, jaccard = 0;
    for (int l = 0; l < 3; ++l) {
      const Counts a = SlowCounts(model_, Pick(traffic_, found_.domains[pair.similarity.a].domain),
                                  l, GetParam());
      const Counts b = SlowCounts(model_, Pick(traffic_, found_.domains[pair.similarity.b].domain),
                                  l, GetParam());
      cosine += SlowCosine(a, b) / 3;
      jaccard += SlowJaccard(a, b, 2) / 3;
    }
    EXPECT_NEAR(pair.similarity.cosine, cosine, 1e-12);
    EXPECT_NEAR(pair.jaccard, jaccard, 1e-12);
  }
  for (const DomainProfile& domain : found_.domains) {
    std::vector<HotExpert> all;
    for (int l = 0; l < 3; ++l) {
      const Counts counts = SlowCounts(model_, Pick(traffic_, domain.domain), l, GetParam());
      double sum = 0;
      for (const auto& [e, n] : counts) {
        sum += n;
      }
      for (const auto& [e, n] : counts) {
        all.push_back({l, e, n / (sum / 24)});
      }
    }
    std::stable_sort(all.begin(), all.end(), [](const HotExpert& a, const HotExpert& b) {
      return a.over_mean > b.over_mean;
    });
    ASSERT_EQ(domain.hottest.size(), size_t(kHottest));
    for (int i = 0; i < kHottest; ++i) {
      EXPECT_EQ(domain.hottest[i].layer, all[i].layer);
      EXPECT_EQ(domain.hottest[i].expert, all[i].expert);
      EXPECT_NEAR(domain.hottest[i].over_mean, all[i].over_mean, 1e-12);
    }
  }
}

TEST_P(CharacterizeTest, CoActivationIsWeighedInsideDomains) {
  for (int l = 0; l < 3; ++l) {
    double pairs = 0, lift = 0, share = 0;
    for (const char* domain : {"d0", "d1", "d2"}) {
      const CoActivation own = CoActivationPerLayer(OnlyDomain(traffic_, domain), GetParam())[l];
      pairs += own.pairs;
      lift += own.pairs * own.lift;
      share += own.pairs * own.top_share;
    }
    EXPECT_EQ(found_.co_activation[l].pairs, pairs);
    EXPECT_NEAR(found_.co_activation[l].lift, lift / pairs, 1e-12);
    EXPECT_NEAR(found_.co_activation[l].top_share, share / pairs, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(Phases, CharacterizeTest,
                         ::testing::Values(PhaseFilter::kAll, PhaseFilter::kPrefill,
                                           PhaseFilter::kDecode),
                         [](const auto& test) { return std::string(ToString(test.param)); });

TEST(CharacterizeEdgesTest, NothingIsNothing) {
  Traffic none;
  none.model = SmallModel(2, 4, 1);
  const Characterization found = Characterize(none, {});
  EXPECT_EQ(found.requests, 0);
  EXPECT_EQ(found.max_over_mean, 0);
  EXPECT_TRUE(found.slices.empty());
  EXPECT_TRUE(found.domains.empty());
  EXPECT_EQ(found.lift, 1);
}

TEST(CharacterizeEdgesTest, SumsCountButSayNothingOfPhasesAndPairs) {
  Rng rng(3);
  Traffic whole = RandomTraffic(SmallModel(2, 8, 2), 20, 2, &rng), sums = whole;
  for (Request& r : sums.requests) {
    r = SumsOf(sums.model, r);
  }
  const Characterization a = Characterize(whole, {}), b = Characterize(sums, {});
  EXPECT_EQ(b.requests_by_sums, 20);
  EXPECT_EQ(b.tokens, a.tokens);
  EXPECT_EQ(b.max_over_mean, a.max_over_mean);
  EXPECT_EQ(b.pairs[0].similarity.cosine, a.pairs[0].similarity.cosine);
  EXPECT_TRUE(a.domains[0].prefill_decode.has_value());
  EXPECT_FALSE(b.domains[0].prefill_decode.has_value());
  EXPECT_EQ(b.lift, 1);
}

TEST(CharacterizeEdgesTest, TwinsAreFoundAndStrangersAreNot) {
  TrafficBuilder b(1, 4, 1);
  b.Add("a", "history", 0, {{0}, {0}, {0}, {1}});
  b.Add("b", "law", 0, {{0}, {0}, {0}, {1}, {0}});
  b.Add("c", "math", 0, {{2}, {3}});
  const Characterization found = Characterize(b.traffic(), {});
  std::vector<bool> twins;
  for (const PairProfile& pair : found.pairs) {
    twins.push_back(pair.twins);
  }
  EXPECT_THAT(twins, ElementsAre(true, false, false));       // history-law, history-math, law-math
  EXPECT_FALSE(found.domains[0].within_cosine.has_value());  // one request has no halves
}

}  // namespace
}  // namespace advisor
