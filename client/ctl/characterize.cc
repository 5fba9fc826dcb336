#include "core/stats/characterize.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "client/ctl/online.h"
#include "client/ctl/options.h"
#include "client/ctl/pages.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/io/atomic_file.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> traces;
  ChannelOptions daemon;
  std::string deployment, phase = "all", html;
  CharacterizeOptions characterize;
  bool json = false;
};

std::string Number(double value, int digits = 2) { return absl::StrFormat("%.*f", digits, value); }

// "▂▁▃█  1.9 .. 4.7"
std::string Course(const std::vector<double>& values) {
  if (values.empty()) {
    return "-";
  }
  const auto [least, largest] = std::minmax_element(values.begin(), values.end());
  return absl::StrCat(Sparkline(values), "  ", Number(*least), " .. ", Number(*largest));
}

// ---- JSON

Json JsonOf(const std::vector<Imbalance>& layers) {
  Json out = Json::array();
  for (const Imbalance& layer : layers) {
    out.push_back({{"max_over_mean", layer.max_over_mean}, {"gini", layer.gini}});
  }
  return out;
}

Json JsonOf(const std::vector<CoActivation>& layers) {
  Json out = Json::array();
  for (const CoActivation& layer : layers) {
    out.push_back({{"lift", layer.lift},
                   {"top_share", layer.top_share},
                   {"top_share_chance", layer.top_share_chance}});
  }
  return out;
}

Json JsonOf(const DomainProfile& domain) {
  Json out = {{"domain", domain.domain}, {"requests", domain.requests},
              {"tokens", domain.tokens}, {"max_over_mean", domain.max_over_mean},
              {"gini", domain.gini},     {"lift", domain.lift},
              {"hottest", Json::array()}};
  for (const HotExpert& hot : domain.hottest) {
    out["hottest"].push_back(
        {{"layer", hot.layer}, {"expert", hot.expert}, {"over_mean", hot.over_mean}});
  }
  if (domain.within_cosine.has_value()) {
    out["within_cosine"] = *domain.within_cosine;
  }
  if (domain.prefill_decode.has_value()) {
    out["prefill_decode_correlation"] = domain.prefill_decode->correlation;
    out["prefill_decode_correlation_layers"] = domain.prefill_decode->per_layer;
  }
  return out;
}

Json JsonOf(const Characterization& c) {
  Json slices = Json::array(), domains = Json::array(), pairs = Json::array();
  for (const TimeSlice& slice : c.slices) {
    slices.push_back({{"first_request", slice.first_request},
                      {"requests", slice.requests},
                      {"tokens", slice.tokens},
                      {"max_over_mean", slice.max_over_mean},
                      {"layers", JsonOf(slice.per_layer)}});
    if (slice.cosine_to_previous.has_value()) {
      slices.back()["cosine_to_previous"] = *slice.cosine_to_previous;
    }
  }
  for (const DomainProfile& domain : c.domains) {
    domains.push_back(JsonOf(domain));
  }
  for (const PairProfile& pair : c.pairs) {
    pairs.push_back({{"a", c.domains[pair.similarity.a].domain},
                     {"b", c.domains[pair.similarity.b].domain},
                     {"cosine", pair.similarity.cosine},
                     {"cosine_layers", pair.similarity.per_layer},
                     {"jaccard", pair.jaccard},
                     {"twins", pair.twins}});
  }
  return {{"model", c.model.name},
          {"source", c.source},
          {"phase", ToString(c.phase)},
          {"requests", c.requests},
          {"requests_by_sums", c.requests_by_sums},
          {"tokens", c.tokens},
          {"prefill_tokens", c.tokens_of[0]},
          {"decode_tokens", c.tokens_of[1]},
          {"imbalance",
           {{"max_over_mean", c.max_over_mean}, {"gini", c.gini}, {"layers", JsonOf(c.per_layer)}}},
          {"over_time", slices},
          {"domains", domains},
          {"pairs", pairs},
          {"co_activation", {{"lift", c.lift}, {"layers", JsonOf(c.co_activation)}}}};
}

// ---- Text: one screen

void PrintImbalance(const Characterization& c) {
  std::printf(
      "\n1. Load is uneven: a layer's hottest expert has %s x the mean (median layer), Gini %s\n",
      Number(c.max_over_mean).c_str(), Number(c.gini).c_str());
  std::printf("   by layer  %s x\n", Course(Each(c.per_layer, &Imbalance::max_over_mean)).c_str());
  std::vector<double> cosines;
  for (const TimeSlice& slice : c.slices) {
    if (slice.cosine_to_previous.has_value()) {
      cosines.push_back(*slice.cosine_to_previous);
    }
  }
  std::printf("   by time   %s x", Course(Each(c.slices, &TimeSlice::max_over_mean)).c_str());
  if (!cosines.empty()) {
    std::printf("; neighbouring slices of the trace are alike by %s (cosine, least)",
                Number(*std::min_element(cosines.begin(), cosines.end())).c_str());
  }
  std::printf("\n");
}

std::string PairName(const Characterization& c, const PairProfile& pair) {
  return absl::StrCat(c.domains[pair.similarity.a].domain, " - ",
                      c.domains[pair.similarity.b].domain);
}

void PrintPairs(const Characterization& c) {
  if (c.pairs.empty()) {
    std::printf("\n2. Domains: there is one; nothing to compare\n");
    return;
  }
  const auto by_cosine = [](const PairProfile& a, const PairProfile& b) {
    return a.similarity.cosine < b.similarity.cosine;
  };
  const auto [least, most] = std::minmax_element(c.pairs.begin(), c.pairs.end(), by_cosine);
  double mean = 0, jaccard = 0;
  std::vector<std::string> twins;
  for (const PairProfile& pair : c.pairs) {
    mean += pair.similarity.cosine / static_cast<double>(c.pairs.size());
    jaccard += pair.jaccard / static_cast<double>(c.pairs.size());
    if (pair.twins) {
      twins.push_back(PairName(c, pair));
    }
  }
  std::printf(
      "\n2. Domains prefer their own experts: pairs are alike by %s (cosine, mean), from %s (%s) "
      "to %s "
      "(%s);\n   their hottest tenths overlap by %s. Twins (%s or more): %s\n",
      Number(mean).c_str(), Number(least->similarity.cosine).c_str(), PairName(c, *least).c_str(),
      Number(most->similarity.cosine).c_str(), PairName(c, *most).c_str(), Number(jaccard).c_str(),
      Number(kTwinCosine).c_str(), twins.empty() ? "none" : absl::StrJoin(twins, ", ").c_str());
}

// The domain most like domain `d`, and how much.
std::string NearestOf(const Characterization& c, int d) {
  double best = -1;
  std::string name = "-";
  for (const PairProfile& pair : c.pairs) {
    const DomainPair& p = pair.similarity;
    if ((p.a == d || p.b == d) && p.cosine > best) {
      best = p.cosine;
      name = absl::StrCat(c.domains[p.a == d ? p.b : p.a].domain, " ", Number(p.cosine));
    }
  }
  return name;
}

void PrintDomains(const Characterization& c) {
  Table table({"   domain", "requests", "tokens", "halves", "nearest", "hottest", "prefill/decode",
               "lift", "hottest experts (layer:expert)"});
  for (size_t d = 0; d < c.domains.size(); ++d) {
    const DomainProfile& domain = c.domains[d];
    std::vector<std::string> hottest;
    for (size_t i = 0; i < std::min<size_t>(3, domain.hottest.size()); ++i) {
      hottest.push_back(
          absl::StrFormat("%d:%d", domain.hottest[i].layer, domain.hottest[i].expert));
    }
    table.AddRow(
        {absl::StrCat("   ", DomainLabel(domain.domain)), absl::StrCat(domain.requests),
         absl::StrFormat("%.0f", domain.tokens),
         domain.within_cosine.has_value() ? Number(*domain.within_cosine, 3) : "-",
         NearestOf(c, static_cast<int>(d)), Number(domain.max_over_mean),
         domain.prefill_decode.has_value() ? Number(domain.prefill_decode->correlation) : "-",
         Number(domain.lift), absl::StrJoin(hottest, " ")});
  }
  std::fputs(table.ToText().c_str(), stdout);
}

void PrintPhases(const Characterization& c) {
  double sum = 0;
  int known = 0;
  for (const DomainProfile& domain : c.domains) {
    if (domain.prefill_decode.has_value()) {
      sum += domain.prefill_decode->correlation;
      ++known;
    }
  }
  if (known == 0) {
    std::printf("\n3. Prefill and decode: the trace has not both, request by request\n");
    return;
  }
  std::printf(
      "\n3. Prefill predicts decode: expert counts of the two correlate by %s (mean of domains)\n",
      Number(sum / known).c_str());
}

void PrintText(const Characterization& c) {
  std::printf("%s: %d layers x %d experts, top-%d; %d requests, %.0f tokens", c.model.name.c_str(),
              c.model.moe_layers, c.model.experts, c.model.top_k, c.requests, c.tokens);
  if (c.phase == PhaseFilter::kAll) {
    std::printf(" (%.0f prefill, %.0f decode)", c.tokens_of[0], c.tokens_of[1]);
  }
  std::printf("\nsource: %s\n", c.source.empty() ? "not stated" : c.source.c_str());
  PrintImbalance(c);
  PrintPairs(c);
  PrintDomains(c);
  PrintPhases(c);
  if (c.model.top_k == 1) {
    std::printf("\n4. Co-activation: a token has one expert; there are no pairs\n");
    return;
  }
  std::vector<CoActivation> layers = c.co_activation;
  double share = 0, chance = 0;
  for (const CoActivation& layer : layers) {
    share += layer.top_share / static_cast<double>(layers.size());
    chance += layer.top_share_chance / static_cast<double>(layers.size());
  }
  std::printf(
      "\n4. Experts go together: two experts of a token are %s x as often together as by chance,\n"
      "   inside a domain; the most frequent tenth of pairs holds %s of all (chance: %s)\n"
      "   by layer  %s x\n",
      Number(c.lift).c_str(), Percent(share).c_str(), Percent(chance).c_str(),
      Course(Each(layers, &CoActivation::lift)).c_str());
}

absl::StatusOr<Traffic> TrafficOf(const Options& o) {
  if (!o.traces.empty()) {
    return ReadTraces(o.traces);
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<AdminClient> daemon, AdminClient::Create(o.daemon));
  ASSIGN_OR_RETURN(const std::string deployment, DeploymentOf(*daemon, o.deployment));
  return FetchWindow(*daemon, deployment);
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Traffic traffic, TrafficOf(o));
  CharacterizeOptions options = o.characterize;
  options.phase = PhaseOf(o.phase);
  const Characterization found = Characterize(traffic, options);
  if (!o.html.empty()) {
    RETURN_IF_ERROR(WriteFileAtomically(o.html, CharacterizePage(found).ToHtml()));
  }
  if (o.json) {
    std::printf("%s\n", JsonOf(found).dump().c_str());
  } else {
    PrintText(found);
  }
  return absl::OkStatus();
}

}  // namespace

void AddCharacterize(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "characterize",
      "What a trace, or without --trace a daemon's live window, has to give before an expert is "
      "moved: how uneven load is, by layer and over "
      "time; how domains differ; whether prefill predicts decode; which experts go together. "
      "Halves: likeness of two random halves of a domain's requests, what sampling alone leaves");
  CLI::Option* deployment = command->add_option(
      "deployment", o->deployment,
      "Deployment whose window is looked at; may be left out where the daemon has one");
  AddChannelFlags(command, &o->daemon);
  command->add_option("--trace", o->traces, "Routing trace; may be given several times")
      ->excludes(deployment);
  command->add_option("--html", o->html, "Write a page with heatmaps there");
  AddPhaseOption(command, "Tokens looked at, but for the correlation of the phases", &o->phase);
  command
      ->add_option("--slices", o->characterize.slices,
                   "Stretches of the trace, for change over time")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seed", o->characterize.seed, "Seed of the random halves")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
