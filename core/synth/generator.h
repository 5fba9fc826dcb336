#ifndef ADVISOR_CORE_SYNTH_GENERATOR_H_
#define ADVISOR_CORE_SYNTH_GENERATOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/model/request.h"

namespace advisor {

// How synthetic routing is made. Every knob is a property that real traces were seen to have; presets hold the values
// calibrated to them. Expert choice is top-k of logits: layer's global skew + domain skew + request's topic skew + block
// (co-activation) term + a token-to-token persistent term + noise, with whole groups masked where routing is group-limited.
struct GeneratorOptions {
  ModelSpec model;
  int requests = 800;
  int tokens = 200;                   // mean tokens of a request, prompt included
  double prompt_share = 0.3;          // of a request's tokens
  int domains = 4;
  double global_skew = 0.5;           // standard deviation of log-popularity shared by all traffic
  double domain_skew = 0.8;           // of a domain's own log-popularity
  double domain_depth_ramp = 0.5;     // share of domain_skew present in the first layer; full from the middle on
  double topic_skew = 0.4;            // of a request's own
  int blocks = 0;                     // co-activation blocks per layer; 0: none
  double block_strength = 0;          // logit added to the experts of the token's block
  double persistence = 0.3;           // share of the noise carried over from the previous token
  double phase_correlation = 0.8;     // between a request's prefill and decode preference, 0 .. 1
  double noise = 1.0;                 // scale of the per-token Gumbel noise
  uint64_t seed = 1;
};

// "deepseek-v2-lite", "deepseek-v3", "qwen3-235b", "llama4-maverick", "gpt-oss-20b".
std::vector<std::string> PresetNames();
// NOT_FOUND lists the names.
absl::StatusOr<GeneratorOptions> Preset(const std::string& name);

// Deterministic in `options`. INVALID_ARGUMENT names the option out of range. `source` of the result says "synthetic".
absl::StatusOr<Traffic> Generate(const GeneratorOptions& options);

}  // namespace advisor

#endif  // ADVISOR_CORE_SYNTH_GENERATOR_H_
