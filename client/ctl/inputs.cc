#include "client/ctl/inputs.h"

#include <cmath>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "core/base/status_macros.h"
#include "core/io/trace.h"
#include "core/solver/moves.h"

namespace advisor::client {

absl::Status CheckSameShape(const std::string& trace_path, const ModelSpec& trace,
                            const std::string& path, const ModelSpec& model) {
  if (trace.moe_layers == model.moe_layers && trace.experts == model.experts &&
      trace.top_k == model.top_k) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: [moe_layers, experts, top_k] is [%d, %d, %d], must be [%d, %d, %d] as "
                      "in %s; use files of one model",
                      trace_path, trace.moe_layers, trace.experts, trace.top_k, model.moe_layers,
                      model.experts, model.top_k, path));
}

absl::StatusOr<Traffic> ReadTraces(const std::vector<std::string>& paths) {
  ASSIGN_OR_RETURN(Traffic all, ReadTrace(paths.front()));
  if (paths.size() == 1) {
    return all;
  }
  absl::flat_hash_set<std::string> ids;
  for (const Request& request : all.requests) {
    ids.insert(request.id);
  }
  for (size_t i = 1; i < paths.size(); ++i) {
    ASSIGN_OR_RETURN(Traffic more, ReadTrace(paths[i]));
    RETURN_IF_ERROR(CheckSameShape(paths[i], more.model, paths.front(), all.model));
    for (const Request& request : more.requests) {
      if (!ids.insert(request.id).second) {
        return absl::InvalidArgumentError(
            absl::StrFormat("%s: request \"%s\" is in an earlier trace too; give each request once",
                            paths[i], request.id));
      }
    }
    all.source += more.source.empty() ? "" : "; " + more.source;
    all.requests.insert(all.requests.end(), std::make_move_iterator(more.requests.begin()),
                        std::make_move_iterator(more.requests.end()));
  }
  return all;
}

absl::StatusOr<Traffic> ReadTracesOf(const std::vector<std::string>& paths, const std::string& path,
                                     const ModelSpec& model) {
  ASSIGN_OR_RETURN(Traffic traffic, ReadTraces(paths));
  RETURN_IF_ERROR(CheckSameShape(paths.front(), traffic.model, path, model));
  return traffic;
}

void SplitHoldout(Traffic all, int stride, Traffic* train, Traffic* holdout) {
  train->model = holdout->model = all.model;
  train->source = holdout->source = all.source;
  train->requests.clear();
  holdout->requests.clear();
  absl::flat_hash_map<std::string, int> position;
  for (Request& request : all.requests) {
    const bool held = position[request.domain]++ % stride == stride / 2;
    (held ? holdout : train)->requests.push_back(std::move(request));
  }
}

int SlotsPerGpu(int experts, double extra_percent, int gpus) {
  const double slots = experts * (1 + extra_percent / 100) / gpus;
  return static_cast<int>(std::ceil(slots - 1e-9));
}

Problem ProblemOf(const Deployment& deployment, Traffic traffic, const Plan* previous) {
  Problem problem;
  problem.model = deployment.model;
  problem.topology = deployment.topology;
  problem.microbatches = deployment.microbatches;
  problem.time_model = deployment.time_model;
  problem.traffic = std::move(traffic);
  if (previous != nullptr) {
    problem.in_force = CarryOver(previous->topology, deployment.topology, previous->placement);
  }
  return problem;
}

}  // namespace advisor::client
