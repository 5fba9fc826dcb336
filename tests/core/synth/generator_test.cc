#include "core/synth/generator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "core/stats/popularity.h"
#include "core/stats/token_patterns.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

using ::testing::HasSubstr;

GeneratorOptions Small() {
  GeneratorOptions o;
  o.model.name = "small";
  o.model.moe_layers = 4;
  o.model.experts = 32;
  o.model.top_k = 4;
  o.requests = 40;
  o.tokens = 50;
  o.blocks = 4;
  o.block_strength = 2;
  return o;
}

Traffic MustGenerate(const GeneratorOptions& options) {
  absl::StatusOr<Traffic> traffic = Generate(options);
  EXPECT_TRUE(traffic.ok()) << traffic.status();
  return traffic.ok() ? *std::move(traffic) : Traffic();
}

std::map<std::string, Request> ById(const Traffic& traffic) {
  std::map<std::string, Request> requests;
  for (const Request& request : traffic.requests) {
    requests[request.id] = request;
  }
  return requests;
}

double Mean(const std::vector<double>& values) {
  double sum = 0;
  for (double v : values) {
    sum += v;
  }
  return sum / static_cast<double>(values.size());
}

TEST(GeneratorTest, EveryRequestIsValidAndTheTraceIsLabelled) {
  const GeneratorOptions options = Small();
  const Traffic traffic = MustGenerate(options);
  EXPECT_EQ(traffic.model, options.model);
  EXPECT_THAT(traffic.source, HasSubstr("synthetic"));
  ASSERT_EQ(traffic.requests.size(), 40u);
  EXPECT_EQ(ById(traffic).size(), 40u) << "ids are unique";
  std::map<std::string, int> domains;
  for (const Request& request : traffic.requests) {
    EXPECT_TRUE(Validate(traffic.model, request).ok()) << Validate(traffic.model, request);
    EXPECT_GE(request.prompt_tokens, 1);
    EXPECT_LT(request.prompt_tokens, request.tokens);
    ++domains[request.domain];
  }
  EXPECT_EQ(domains.size(), 4u);
  for (const auto& [domain, requests] : domains) {
    EXPECT_EQ(requests, 10) << domain;
  }
}

TEST(GeneratorTest, SameSeedSameTraceOtherSeedOther) {
  GeneratorOptions options = Small();
  const Traffic first = MustGenerate(options), second = MustGenerate(options);
  for (size_t i = 0; i < first.requests.size(); ++i) {
    EXPECT_EQ(first.requests[i].id, second.requests[i].id);
    EXPECT_EQ(first.requests[i].experts, second.requests[i].experts);
  }
  options.seed = 2;
  const auto a = ById(first), b = ById(MustGenerate(options));
  int same = 0;
  for (const auto& [id, request] : a) {
    same += request.experts == b.at(id).experts;
  }
  EXPECT_EQ(same, 0);
}

TEST(GeneratorTest, RequestDoesNotDependOnHowManyOthersThereAre) {
  GeneratorOptions options = Small();
  const auto many = ById(MustGenerate(options));
  options.requests = 7;
  const auto few = ById(MustGenerate(options));
  ASSERT_EQ(few.size(), 7u);
  for (const auto& [id, request] : few) {
    ASSERT_TRUE(many.contains(id)) << id;
    EXPECT_EQ(request.prompt_tokens, many.at(id).prompt_tokens) << id;
    EXPECT_EQ(request.experts, many.at(id).experts) << id;
  }
}

TEST(GeneratorTest, TokensKeepToTheGroupLimit) {
  GeneratorOptions options = Small();
  options.model.expert_groups = 8;
  options.model.groups_per_token = 2;
  const Traffic traffic = MustGenerate(options);
  size_t most = 0;
  for (const Request& request : traffic.requests) {
    for (int t = 0; t < request.tokens; ++t) {
      for (int l = 0; l < traffic.model.moe_layers; ++l) {
        std::set<int> groups;
        for (int k = 0; k < traffic.model.top_k; ++k) {
          groups.insert(request.token(traffic.model, t, l)[k] / 4);
        }
        most = std::max(most, groups.size());
        ASSERT_LE(groups.size(), 2u) << request.id << " token " << t << " layer " << l;
      }
    }
  }
  EXPECT_EQ(most, 2u);
}

TEST(GeneratorTest, BlocksMakeExpertsGoTogether) {
  GeneratorOptions options = Small();
  options.domains = 1;
  const auto lift = [&options] {
    std::vector<double> lifts;
    for (const CoActivation& layer :
         CoActivationPerLayer(MustGenerate(options), PhaseFilter::kAll)) {
      lifts.push_back(layer.lift);
    }
    return Mean(lifts);
  };
  options.topic_skew = 0;
  const double with = lift();
  options.blocks = 0;
  const double without = lift();
  EXPECT_NEAR(without, 1, 0.1);
  EXPECT_GT(with, without + 0.4);
}

TEST(GeneratorTest, PersistenceMakesNeighboursAlike) {
  GeneratorOptions options = Small();
  const auto overlap = [&options](int lag) {
    return Mean(TokenOverlapPerLayer(MustGenerate(options), PhaseFilter::kDecode, lag));
  };
  options.persistence = 0;
  EXPECT_NEAR(overlap(1), overlap(8), 0.02);
  options.persistence = 0.8;
  EXPECT_GT(overlap(1), overlap(8) + 0.1);
}

TEST(GeneratorTest, BalancedRangesCarryLikeLoadAndSeldomMeetInAToken) {
  GeneratorOptions options = Small();
  options.global_skew = 2;
  options.requests = 100;
  // Largest over mean load of four contiguous ranges, and share of pairs inside one range.
  const auto measure = [&options] {
    const Traffic traffic = MustGenerate(options);
    const ExpertCounts counts = CountExperts(traffic, PhaseFilter::kAll);
    std::vector<double> load;
    for (int l = 0; l < counts.layers(); ++l) {
      std::array<double, 4> ranges{};
      for (int e = 0; e < counts.experts(); ++e) {
        ranges[e / 8] += counts.row(l)[e];
      }
      load.push_back(MaxOverMean(ranges));
    }
    double together = 0, pairs = 0;
    for (const Request& request : traffic.requests) {
      for (size_t i = 0; i < request.experts.size(); i += 4) {
        for (size_t a = i; a < i + 4; ++a) {
          for (size_t b = a + 1; b < i + 4; ++b, ++pairs) {
            together += request.experts[a] / 8 == request.experts[b] / 8;
          }
        }
      }
    }
    return std::make_pair(Mean(load), together / pairs);
  };
  const auto [free_load, free_pairs] = measure();
  options.balanced_ranges = 4;
  const auto [load, pairs] = measure();
  EXPECT_LT(load - 1, 0.8 * (free_load - 1));
  EXPECT_LT(pairs, 0.9 * free_pairs);
}

struct BadOption {
  void (*set)(GeneratorOptions&);
  const char* message;
};

TEST(GeneratorTest, ErrorsNameTheOptionItsValueAndTheLimit) {
  const BadOption kBad[] = {
      {[](GeneratorOptions& o) { o.requests = 0; }, "requests is 0, must be 1 .."},
      {[](GeneratorOptions& o) { o.tokens = 1; }, "tokens is 1, must be 2 .."},
      {[](GeneratorOptions& o) { o.length_spread = -1; }, "length_spread is -1, must be 0 .. 3"},
      {[](GeneratorOptions& o) { o.prompt_share = 2; }, "prompt_share is 2, must be 0 .. 1"},
      {[](GeneratorOptions& o) { o.domains = 65; }, "domains is 65, must be 1 .. 64"},
      {[](GeneratorOptions& o) { o.global_skew = 11; }, "global_skew is 11, must be 0 .. 10"},
      {[](GeneratorOptions& o) { o.domain_skew = std::nan(""); }, "domain_skew is nan"},
      {[](GeneratorOptions& o) { o.topic_skew = -0.1; }, "topic_skew is -0.1"},
      {[](GeneratorOptions& o) { o.domain_kinship = 1.5; }, "domain_kinship is 1.5"},
      {[](GeneratorOptions& o) { o.domain_depth_ramp = -1; }, "domain_depth_ramp is -1"},
      {[](GeneratorOptions& o) { o.phase_correlation = 1.1; }, "phase_correlation is 1.1"},
      {[](GeneratorOptions& o) { o.blocks = 65; }, "blocks is 65, must be 0 .. 64"},
      {[](GeneratorOptions& o) { o.block_strength = -1; }, "block_strength is -1"},
      {[](GeneratorOptions& o) { o.block_focus = 20; }, "block_focus is 20"},
      {[](GeneratorOptions& o) { o.persistence = 1.01; }, "persistence is 1.01, must be 0 .. 1"},
      {[](GeneratorOptions& o) { o.balanced_ranges = 5; },
       "balanced_ranges is 5, must divide model.experts, 32"},
      {[](GeneratorOptions& o) { o.model.top_k = 33; }, "top_k"},
  };
  for (const BadOption& bad : kBad) {
    GeneratorOptions options = Small();
    bad.set(options);
    const absl::Status status = Generate(options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.message));
  }
}

}  // namespace
}  // namespace advisor
