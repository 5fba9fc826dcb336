#ifndef ADVISOR_CORE_MODEL_DEPLOYMENT_H_
#define ADVISOR_CORE_MODEL_DEPLOYMENT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "core/model/model_spec.h"
#include "core/model/phase.h"
#include "core/model/topology.h"

namespace advisor {

// kAdvisory: plans are computed, stored and shown, engines are told not to act. kActive: engines
// act on them.
enum class Mode { kAdvisory, kActive };
constexpr const char* ToString(Mode mode) { return mode == Mode::kActive ? "active" : "advisory"; }

inline constexpr int kMaxTokensPerGpu = 1 << 20;

// What a link and a GPU cost, for the latency objective and its estimates.
struct TimeModel {
  double internode_gbytes_per_s = 0;  // per node, each way, > 0
  double intranode_gbytes_per_s = 0;  // per GPU, > 0
  double expert_ns_per_token = 0;     // one token through one expert on one GPU, > 0
  int tokens_per_gpu = 64;  // of one decode step, for the estimates, 1 .. kMaxTokensPerGpu
  friend bool operator==(const TimeModel&, const TimeModel&) = default;
};

// One EP group of one pool: the unit that has a plan. With disaggregated prefill and decode there
// are two deployments.
struct Deployment {
  std::string name;  // [a-z0-9._-], at most 128 bytes
  Mode mode = Mode::kAdvisory;
  PhaseFilter phase = PhaseFilter::kAll;  // which traffic the pool serves
  ModelSpec model;
  Topology topology;
  int microbatches = 1;  // per node, 1 .. kMaxMicrobatches
  std::optional<TimeModel> time_model;
};

// INVALID_ARGUMENT: a field out of range. FAILED_PRECONDITION: the topology cannot hold every
// expert; the text gives the number of missing slots.
absl::Status Validate(const Deployment& deployment);

// FAILED_PRECONDITION when `topology` has fewer slots than the model has experts, with the number
// missing.
absl::Status ValidateCapacity(const ModelSpec& model, const Topology& topology);

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_DEPLOYMENT_H_
