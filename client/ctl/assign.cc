#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/ctl/command.h"
#include "client/ctl/inputs.h"
#include "client/ctl/options.h"
#include "client/ctl/table.h"
#include "core/base/status_macros.h"
#include "core/grouping/assigner.h"
#include "core/grouping/microbatcher.h"
#include "core/io/assignments_file.h"
#include "core/io/plan_file.h"
#include "core/io/trace.h"
#include "core/solver/batch_assignment.h"
#include "nlohmann/json.hpp"

namespace advisor::client {
namespace {

struct Options {
  std::string plan, trace, out;
  bool batch = false, json = false;
};

// What each node got.
void Print(const Options& o, const Plan& plan, const Traffic& traffic,
           const std::vector<NodeId>& homes) {
  const int nodes = plan.topology.node_count();
  std::vector<int64_t> requests(nodes), prompt_tokens(nodes);
  for (size_t i = 0; i < homes.size(); ++i) {
    ++requests[homes[i].value()];
    prompt_tokens[homes[i].value()] += traffic.requests[i].prompt_tokens;
  }
  Table table({"node", "requests", "prompt_tokens"});
  nlohmann::ordered_json json = {
      {"out", o.out}, {"requests", homes.size()}, {"nodes", nlohmann::ordered_json::array()}};
  for (int n = 0; n < nodes; ++n) {
    const std::string& name = plan.topology.nodes()[n].name;
    table.AddRow({name, absl::StrCat(requests[n]), absl::StrCat(prompt_tokens[n])});
    json["nodes"].push_back({{"node", n},
                             {"name", name},
                             {"requests", requests[n]},
                             {"prompt_tokens", prompt_tokens[n]}});
  }
  std::fputs(o.json ? (json.dump() + "\n").c_str() : table.ToText().c_str(), stdout);
}

absl::Status Run(const Options& o) {
  ASSIGN_OR_RETURN(const Plan plan, ReadPlan(o.plan));
  ASSIGN_OR_RETURN(const Traffic traffic, ReadTrace(o.trace));
  RETURN_IF_ERROR(CheckSameShape(o.trace, traffic.model, o.plan, plan.model));
  const bool batch = o.batch && !plan.grouping.empty();
  const std::vector<NodeId> homes =
      batch ? AssignBatch(plan, traffic) : AssignInOrder(plan, traffic);
  std::vector<Microbatch> microbatches;
  if (const int count = plan.grouping.microbatches; count > 1) {
    microbatches =
        batch ? SplitBatch(plan, traffic, homes, count) : SplitInOrder(plan, traffic, homes, count);
  }
  std::vector<Assignment> assignments;
  assignments.reserve(homes.size());
  for (size_t i = 0; i < homes.size(); ++i) {
    assignments.push_back(
        {traffic.requests[i].id, homes[i], microbatches.empty() ? -1 : microbatches[i]});
  }
  RETURN_IF_ERROR(WriteAssignments(o.out, assignments));
  Print(o, plan, traffic, homes);
  return absl::OkStatus();
}

}  // namespace

void AddAssign(CLI::App& app, Action* action) {
  auto o = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "assign",
      "Choose a home node, and a microbatch inside it where the deployment asked for several, for "
      "every request of a trace, in its order: each is placed by its prompt and the requests "
      "before it, nothing else. A plan without grouping deals requests round-robin");
  command->add_option("--plan", o->plan, "Plan file")->required();
  command->add_option("--trace", o->trace, "Routing trace with the requests to place")->required();
  command->add_option("--out", o->out, "Assignments file to write (.jsonl)")->required();
  command->add_flag(
      "--batch", o->batch,
      "Look at all prompts at once instead: what placing one by one gives away. Report it apart");
  AddJsonFlag(command, &o->json);
  command->callback([o, action] { *action = [o] { return Run(*o); }; });
}

}  // namespace advisor::client
