#include "client/replay/report.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/ctl/message_json.h"
#include "client/ctl/online.h"
#include "client/ctl/table.h"
#include "core/io/plan_file.h"

namespace advisor::client {
namespace {

using Json = nlohmann::ordered_json;

std::string Whole(const std::optional<double>& value) {
  return value ? absl::StrFormat("%.0f", *value) : "-";
}

std::string Ratio(const std::optional<double>& value) {
  return value ? absl::StrFormat("%.3f", *value) : "-";
}

std::string Share(const std::optional<double>& value) { return value ? Percent(*value) : "-"; }

// "2.13 (2.95)": measured, and the baseline on the same requests.
std::string Beside(const std::string& measured, const std::string& baseline) {
  return absl::StrCat(measured, " (", baseline, ")");
}

std::string Load(const MeanWorst& load) { return absl::StrFormat("%.2f", load.mean); }

std::optional<double> PredictedSaving(const PartFigures& part) {
  return part.plan != nullptr && part.plan->predicted ? part.plan->predicted->figures.saving_ratio
                                                      : std::nullopt;
}

void AddFiguresRow(const std::string& name, int64_t tokens, const Figures& measured,
                   const Figures& baseline, const std::string& predicted, Table* table) {
  table->AddRow(
      {name, absl::StrCat(tokens),
       Beside(Whole(measured.internode_bytes_per_token), Whole(baseline.internode_bytes_per_token)),
       Beside(Ratio(measured.remote_visits_per_token_layer),
              Ratio(baseline.remote_visits_per_token_layer)),
       Beside(Load(measured.node_load), Load(baseline.node_load)),
       Beside(Load(measured.gpu_load), Load(baseline.gpu_load)), Share(measured.saving_ratio),
       predicted});
}

std::string PlansTable(const v1::ListPlansResponse& plans) {
  Table table(
      {"plan", "reason", "slots moved", "bytes migrated", "predicted saving", "measured saving"});
  for (int i = plans.plans_size() - 1; i >= 0; --i) {
    const v1::PlanSummary& p = plans.plans(i);
    table.AddRow({ToText(p.position()), ReasonName(p.reason()), absl::StrCat(p.moved_slots()),
                  BytesText(static_cast<double>(p.moved_bytes())),
                  PercentOrDash(p.predicted().has_saving_ratio(), p.predicted().saving_ratio()),
                  PercentOrDash(p.has_measured_saving(), p.measured_saving())});
  }
  return table.ToText();
}

}  // namespace

std::string SourceNote(const std::string& source) {
  const std::string what = source.empty() ? "the trace does not say where it comes from" : source;
  if (absl::StrContains(absl::AsciiStrToLower(source), "synthetic")) {
    return absl::StrCat("SYNTHETIC routing (", what,
                        "): shows the mechanism, not what a real model would save");
  }
  if (absl::StrContains(absl::AsciiStrToLower(source), "phase") ||
      absl::StrContains(absl::AsciiStrToLower(source), "prefill")) {
    return absl::StrCat("recorded routing: ", what);
  }
  return absl::StrCat(
      "recorded routing: ", what,
      "; the source does not mark phases, so the split into prompt and decode is a stand-in");
}

std::string PartName(const ReplayResult& result, size_t part) {
  const PartKey& key = result.parts[part].key;
  const std::string plan = key.placement == Position{} ? "initial placement"
                                                       : absl::StrCat("plan ", key.placement.epoch,
                                                                      ".", key.placement.revision);
  if (key.half == 0) {
    return key.placement == Position{} ? absl::StrCat("warm-up, ", plan) : plan;
  }
  const bool shifted = !result.sequence.second_mix.empty();
  const bool known_before = std::any_of(
      result.parts.begin(), result.parts.end(),
      [&](const PartFigures& p) { return p.key.half == 0 && p.key.placement == key.placement; });
  return absl::StrCat(!shifted       ? "second half, "
                      : known_before ? "mix shifted, "
                                     : "recovery, ",
                      plan);
}

std::string ReplayText(const ReplayResult& result, const v1::ListPlansResponse& plans) {
  std::string out = absl::StrFormat(
      "\n%d requests, %d tokens on %d nodes in %.0f s; in brackets: linear placement, requests "
      "dealt round-robin, on the "
      "same requests\n\n",
      result.requests, result.tokens, result.topology.node_count(), result.seconds);
  Table table({"decode", "tokens", "inter-node bytes/token", "remote visits/token-layer",
               "node load", "GPU load", "saved", "predicted"});
  Table all({"prefill and decode", "tokens", "inter-node bytes/token", "remote visits/token-layer",
             "node load", "GPU load", "saved", ""});
  for (size_t i = 0; i < result.parts.size(); ++i) {
    const PartFigures& part = result.parts[i];
    AddFiguresRow(PartName(result, i), part.decode_tokens, part.decode, part.baseline_decode,
                  Share(PredictedSaving(part)), &table);
    AddFiguresRow(PartName(result, i), part.all_tokens, part.all, part.baseline_all, "", &all);
  }
  absl::StrAppend(&out, table.ToText(), "\n", all.ToText(), "\n");
  absl::StrAppend(&out, plans.plans_size() == 0 ? "no plan was published\n" : PlansTable(plans));
  absl::StrAppend(&out, "\n", result.steps, " steps recorded, ", result.lost_steps,
                  " lost on the way to the agents; ", result.grouped, " of ", result.requests,
                  " requests placed by a grouping\n");
  if (result.skipped > 0) {
    absl::StrAppend(&out, result.skipped, " requests known only by counts were not played\n");
  }
  for (const std::string& remark : result.remarks) {
    absl::StrAppend(&out, "note: ", remark, "\n");
  }
  return out;
}

std::string ReplayJson(const ReplayResult& result, const v1::ListPlansResponse& plans,
                       const std::string& source) {
  Json parts = Json::array();
  for (size_t i = 0; i < result.parts.size(); ++i) {
    const PartFigures& part = result.parts[i];
    Json out = {{"name", PartName(result, i)},       {"half", part.key.half},
                {"epoch", part.key.placement.epoch}, {"revision", part.key.placement.revision},
                {"requests", part.requests},         {"decode_tokens", part.decode_tokens},
                {"all_tokens", part.all_tokens}};
    out["decode"] = Json::parse(FiguresToJson(part.decode));
    out["baseline_decode"] = Json::parse(FiguresToJson(part.baseline_decode));
    out["all"] = Json::parse(FiguresToJson(part.all));
    out["baseline_all"] = Json::parse(FiguresToJson(part.baseline_all));
    if (const std::optional<double> predicted = PredictedSaving(part)) {
      out["predicted_saving_ratio"] = *predicted;
    }
    parts.push_back(std::move(out));
  }
  const Json out = {{"deployment", result.deployment},
                    {"source", source},
                    {"source_note", SourceNote(source)},
                    {"requests", result.requests},
                    {"tokens", result.tokens},
                    {"skipped_requests", result.skipped},
                    {"requests_placed_by_grouping", result.grouped},
                    {"steps", result.steps},
                    {"lost_steps", result.lost_steps},
                    {"first_mix", result.sequence.first_mix},
                    {"second_mix", result.sequence.second_mix},
                    {"parts", parts},
                    {"plans", ToJson(plans)["plans"]},
                    {"remarks", result.remarks}};
  return out.dump();
}

}  // namespace advisor::client
