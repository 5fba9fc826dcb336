#ifndef ADVISOR_CLIENT_CTL_INPUTS_H_
#define ADVISOR_CLIENT_CTL_INPUTS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/model/deployment.h"
#include "core/model/model_spec.h"
#include "core/model/request.h"
#include "core/solver/solver.h"

namespace advisor::client {

// Several traces as one, in the order given. INVALID_ARGUMENT: their models differ in shape, or a
// request id is in two of them.
absl::StatusOr<Traffic> ReadTraces(const std::vector<std::string>& paths);

// INVALID_ARGUMENT naming both files where layers, experts or top_k of the trace's model are not
// those wanted.
absl::Status CheckSameShape(const std::string& trace_path, const ModelSpec& trace,
                            const std::string& path, const ModelSpec& model);

// ReadTraces() that must be of `model`, which is that of the file (or plan) `path`.
absl::StatusOr<Traffic> ReadTracesOf(const std::vector<std::string>& paths, const std::string& path,
                                     const ModelSpec& model);

// Every `stride`-th request of each domain, by its position among the requests of that domain, is
// held out, from the middle of the first `stride` on: as many as the domain's share, rounded, so
// that domains of few requests are judged too. Both sides keep the order of `all`.
void SplitHoldout(Traffic all, int stride, Traffic* train, Traffic* holdout);
inline constexpr int kHalves = 2;  // where methods are judged
inline constexpr int kFifths = 5;  // where a plan predicts: as much as can be is solved on

// ceil(experts x (1 + extra_percent / 100) / gpus).
int SlotsPerGpu(int experts, double extra_percent, int gpus);

// What a deployment asks the solver, on `traffic`; to be repaired from `previous`, where that is
// not null.
Problem ProblemOf(const Deployment& deployment, Traffic traffic, const Plan* previous);

}  // namespace advisor::client

#endif  // ADVISOR_CLIENT_CTL_INPUTS_H_
