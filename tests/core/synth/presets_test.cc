// Holds every preset to figures measured on real models; docs/design/0005-synthetic-traces.md says
// where each comes from.
#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <string>

#include "absl/strings/str_format.h"
#include "core/stats/popularity.h"
#include "core/stats/token_patterns.h"
#include "core/synth/generator.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace advisor {
namespace {

constexpr PhaseFilter kAll = PhaseFilter::kAll;

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

// The `top` experts with the largest counts, in ascending order.
std::vector<int> Hottest(absl::Span<const double> counts, int top) {
  std::vector<int> experts(counts.size());
  std::iota(experts.begin(), experts.end(), 0);
  std::stable_sort(experts.begin(), experts.end(),
                   [&counts](int a, int b) { return counts[a] > counts[b]; });
  experts.resize(top);
  std::sort(experts.begin(), experts.end());
  return experts;
}

// Overlap of the hottest tenth of the experts, mean over pairs of domains and layers.
double Jaccard(const std::vector<DomainExpertCounts>& domains) {
  const int top = (domains[0].counts.experts() + 5) / 10;
  std::vector<double> overlaps;
  for (size_t a = 0; a < domains.size(); ++a) {
    for (size_t b = a + 1; b < domains.size(); ++b) {
      for (int l = 0; l < domains[a].counts.layers(); ++l) {
        const auto x = Hottest(domains[a].counts.row(l), top);
        const auto y = Hottest(domains[b].counts.row(l), top);
        std::vector<int> both;
        std::set_intersection(x.begin(), x.end(), y.begin(), y.end(), std::back_inserter(both));
        overlaps.push_back(static_cast<double>(both.size()) / (2.0 * top - both.size()));
      }
    }
  }
  return Mean(overlaps);
}

// A figure over layers: the median.
double MedianLayer(const ExpertCounts& counts,
                   const std::function<double(absl::Span<const double>)>& figure) {
  std::vector<double> layers;
  for (int l = 0; l < counts.layers(); ++l) {
    layers.push_back(figure(counts.row(l)));
  }
  return Median(layers);
}

// Of the domains: the median.
double MedianDomain(const std::vector<DomainExpertCounts>& domains,
                    const std::function<double(absl::Span<const double>)>& figure) {
  std::vector<double> values;
  for (const DomainExpertCounts& domain : domains) {
    values.push_back(MedianLayer(domain.counts, figure));
  }
  return Median(values);
}

// Mean over domains of a figure of each one's requests alone.
double MeanDomain(const Traffic& traffic, const std::vector<DomainExpertCounts>& domains,
                  const std::function<double(const Traffic&)>& figure) {
  std::vector<double> values;
  for (const DomainExpertCounts& domain : domains) {
    values.push_back(figure(OnlyDomain(traffic, domain.domain)));
  }
  return Mean(values);
}

double MeanLift(const Traffic& traffic) {
  std::vector<double> lifts;
  for (const CoActivation& layer : CoActivationPerLayer(traffic, kAll)) {
    lifts.push_back(layer.lift);
  }
  return Mean(lifts);
}

struct Target {
  double want = 0, tolerance = 0;
};

// What is known of a model, by the figure's name.
using Figures = std::map<std::string, Target>;

struct Case {
  const char* preset;
  int requests, tokens;
  Figures figures;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.preset; }

std::vector<Case> Cases() {
  std::vector<Case> cases;
  cases.push_back({"deepseek-v2-lite", 108, 156, {}});
  cases.back().figures = {{"within", {0.995, 0.01}},
                          {"between", {0.654, 0.05}},
                          {"between_max", {0.729, 0.07}},
                          {"first_layer", {0.75, 0.08}},
                          {"deep_half", {0.6, 0.05}},
                          {"jaccard", {0.08, 0.03}},
                          {"max_over_mean", {2.8, 0.6}},
                          {"max_over_mean_domain", {4.2, 0.6}},
                          {"gini", {0.28, 0.05}},
                          {"gini_domain", {0.37, 0.05}},
                          {"nearest", {1, 0.02}},
                          {"neighbour_overlap", {0.28, 0.03}},
                          {"lift", {2.3, 0.5}},
                          {"distinct_domain_32", {52.9, 1.5}},
                          {"distinct_mixed_32", {57.9, 1.5}},
                          {"phase_correlation", {0.75, 0.06}}};
  // The relative's counts are sums over 24,000 tokens a shard; requests of 60 tokens know less of
  // their domain, and halves of 600 tokens over 256 experts differ by chance.
  cases.push_back({"deepseek-v3", 100, 60, {}});
  cases.back().figures = {{"within", {0.975, 0.09}},     {"between", {0.616, 0.06}},
                          {"between_max", {0.83, 0.12}}, {"first_layer", {0.88, 0.06}},
                          {"deep_half", {0.55, 0.06}},   {"jaccard", {0.09, 0.03}},
                          {"max_over_mean", {3.3, 1}},   {"max_over_mean_domain", {6.8, 1}},
                          {"gini", {0.23, 0.05}},        {"gini_domain", {0.40, 0.07}},
                          {"nearest", {1, 0.05}},        {"phase_correlation", {0.55, 0.08}}};
  cases.push_back({"qwen3-235b", 90, 60, {}});
  cases.back().figures = {{"between", {0.332, 0.06}},         {"between_max", {0.455, 0.08}},
                          {"jaccard", {0.05, 0.03}},          {"max_over_mean", {4.4, 1}},
                          {"max_over_mean_domain", {8.7, 1}}, {"gini", {0.40, 0.05}},
                          {"gini_domain", {0.62, 0.05}},      {"phase_correlation", {0.68, 0.06}}};
  cases.push_back({"llama4-maverick", 200, 160, {}});
  cases.back().figures = {{"top_eighth", {0.38, 0.05}}, {"phase_correlation", {0.82, 0.05}}};
  cases.push_back({"gpt-oss-20b", 354, 150, {}});
  cases.back().figures = {{"within", {0.967, 0.03}},
                          {"between", {0.786, 0.06}},
                          {"between_max", {0.979, 0.02}},
                          {"first_layer", {0.88, 0.12}},
                          {"deep_half", {0.77, 0.07}},
                          {"jaccard", {0.26, 0.06}},
                          {"max_over_mean", {2.5, 0.3}},
                          {"max_over_mean_domain", {3.6, 0.4}},
                          {"gini", {0.40, 0.04}},
                          {"gini_domain", {0.51, 0.04}},
                          {"nearest", {0.61, 0.2}},
                          {"neighbour_overlap", {0.44, 0.03}},
                          {"lift", {1.8, 0.3}},
                          {"distinct_domain_32", {24.4, 1}},
                          {"distinct_mixed_32", {26.9, 1}},
                          {"phase_correlation", {0.946, 0.03}}};
  return cases;
}

// Checks `figure`, if the model has a target for it, and strikes it off.
void Hold(const std::string& name, const std::function<double()>& figure, Figures& open) {
  const auto it = open.find(name);
  if (it == open.end()) {
    return;
  }
  const double got = figure();
  EXPECT_NEAR(got, it->second.want, it->second.tolerance) << name;
  ::testing::Test::RecordProperty(name, absl::StrFormat("%.3f", got));  // for the design note
  open.erase(it);
}

void HoldSimilarity(const Traffic& traffic, const std::vector<DomainExpertCounts>& domains,
                    Figures& open) {
  const std::vector<DomainPair> pairs = DomainSimilarity(domains);
  std::vector<double> cosines, first, deep;
  for (const DomainPair& pair : pairs) {
    cosines.push_back(pair.cosine);
    first.push_back(pair.per_layer.front());
    deep.insert(deep.end(), pair.per_layer.begin() + pair.per_layer.size() / 2,
                pair.per_layer.end());
  }
  Hold(
      "within",
      [&] {
        std::vector<double> halves;
        for (const DomainHalves& domain : WithinDomainSimilarity(traffic, kAll, 1)) {
          halves.push_back(domain.cosine);
        }
        return Mean(halves);
      },
      open);
  Hold(
      "between", [&] { return Mean(cosines); }, open);
  Hold(
      "between_max", [&] { return *std::max_element(cosines.begin(), cosines.end()); }, open);
  Hold(
      "first_layer", [&] { return Mean(first); }, open);
  Hold(
      "deep_half", [&] { return Mean(deep); }, open);
  Hold(
      "jaccard", [&] { return Jaccard(domains); }, open);
  Hold(
      "nearest", [&] { return NearestDomainAccuracy(traffic, kAll); }, open);
}

void HoldImbalance(const Traffic& traffic, const std::vector<DomainExpertCounts>& domains,
                   Figures& open) {
  const ExpertCounts pooled = CountExperts(traffic, kAll);
  Hold(
      "max_over_mean", [&] { return MedianLayer(pooled, MaxOverMean); }, open);
  Hold(
      "max_over_mean_domain", [&] { return MedianDomain(domains, MaxOverMean); }, open);
  Hold(
      "gini", [&] { return MedianLayer(pooled, Gini); }, open);
  Hold(
      "gini_domain", [&] { return MedianDomain(domains, Gini); }, open);
  Hold(
      "top_eighth",
      [&] {
        return MedianDomain(domains, [&](absl::Span<const double> counts) {
          return TopShare(counts, pooled.experts() / 8);
        });
      },
      open);
}

void HoldTokens(const Traffic& traffic, const std::vector<DomainExpertCounts>& domains,
                Figures& open) {
  const auto distinct = [](const Traffic& t) { return DistinctExperts(t, kAll, 32, 100, 1); };
  Hold(
      "neighbour_overlap", [&] { return Mean(TokenOverlapPerLayer(traffic, kAll)); }, open);
  Hold(
      "lift", [&] { return MeanDomain(traffic, domains, MeanLift); }, open);
  Hold(
      "distinct_domain_32", [&] { return MeanDomain(traffic, domains, distinct); }, open);
  Hold(
      "distinct_mixed_32", [&] { return distinct(traffic); }, open);
  Hold(
      "phase_correlation",
      [&] {
        std::vector<double> correlations;
        for (const PhaseCorrelation& domain : PhaseCorrelationByDomain(traffic)) {
          correlations.push_back(domain.correlation);
        }
        return Mean(correlations);
      },
      open);
}

class PresetTest : public ::testing::TestWithParam<Case> {};

TEST_P(PresetTest, LooksLikeItsModel) {
  const Case& c = GetParam();
  absl::StatusOr<GeneratorOptions> options = Preset(c.preset);
  ASSERT_TRUE(options.ok()) << options.status();
  options->requests = c.requests;
  options->tokens = c.tokens;
  const absl::StatusOr<Traffic> traffic = Generate(*options);
  ASSERT_TRUE(traffic.ok()) << traffic.status();
  const std::vector<DomainExpertCounts> domains = CountExpertsByDomain(*traffic, kAll);
  Figures open = c.figures;
  HoldSimilarity(*traffic, domains, open);
  HoldImbalance(*traffic, domains, open);
  HoldTokens(*traffic, domains, open);
  EXPECT_TRUE(open.empty()) << "no such figure: " << open.begin()->first;
}

std::string TestName(const ::testing::TestParamInfo<Case>& param) {
  std::string name = param.param.preset;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
}

INSTANTIATE_TEST_SUITE_P(Presets, PresetTest, ::testing::ValuesIn(Cases()), TestName);

TEST(PresetsTest, EveryPresetIsHeldToFiguresAndValid) {
  std::vector<std::string> held;
  for (const Case& c : Cases()) {
    held.emplace_back(c.preset);
  }
  EXPECT_THAT(held, ::testing::UnorderedElementsAreArray(PresetNames()));
  for (const std::string& name : PresetNames()) {
    EXPECT_TRUE(Validate(*Preset(name)).ok()) << name << ": " << Validate(*Preset(name));
    EXPECT_EQ(Preset(name)->model.name, name);
  }
}

TEST(PresetsTest, ShapesOfTheLargeModels) {
  const ModelSpec v3 = Preset("deepseek-v3")->model;
  EXPECT_EQ(v3.HiddenLayer(0), 3);
  EXPECT_EQ(v3.HiddenLayer(57), 60);
  EXPECT_EQ(v3.expert_bytes, 44040192);
  EXPECT_EQ(v3.groups_per_token, 4);
  const ModelSpec maverick = Preset("llama4-maverick")->model;
  EXPECT_EQ(maverick.HiddenLayer(0), 1);
  EXPECT_EQ(maverick.HiddenLayer(23), 47);
}

TEST(PresetsTest, UnknownNameListsThePresets) {
  const absl::Status status = Preset("gpt-9").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("llama4-maverick"));
}

}  // namespace
}  // namespace advisor
