#ifndef ADVISOR_CORE_SYNTH_GENERATOR_H_
#define ADVISOR_CORE_SYNTH_GENERATOR_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/model/request.h"

namespace advisor {

// How synthetic routing is made. Every knob is a property that real traces were seen to have;
// presets hold the values calibrated to them (docs/design/0005-synthetic-traces.md). A token's
// experts in a layer are the top_k largest of the logits
//   global + domain + topic preference + sum over blocks of (token's weight x membership) + noise,
// where the noise is normal with standard deviation 1 and sets the scale of all the others.
struct GeneratorOptions {
  ModelSpec model;
  int requests = 800;
  int tokens = 200;            // mean tokens of a request, prompt included
  double length_spread = 0.7;  // standard deviation of the logarithm of a request's tokens
  double prompt_share = 0.3;   // mean prompt share; a request draws 0.5 to 1.5 times it
  int domains = 4;             // as many requests each; from 6 on, one is another's near twin

  // Popularity: standard deviations of the logit over the experts of a layer.
  double global_skew = 0.5;   // shared by all traffic; skewed to the left: starved experts
  double domain_skew = 1.0;   // a domain's own
  double topic_skew = 0.4;    // a request's own, on top of its domain's
  double domain_kinship = 0;  // 0 .. 1: share of domain_skew's variance along one axis on which
                              // all domains lie in a row, neighbours alike, ends far apart
  // Share of domain_skew in the first layer; full from the middle on.
  double domain_depth_ramp = 0.8;
  double phase_correlation = 0.9;  // 0 .. 1: of global and domain preference, prefill with decode

  // Co-activation: overlapping blocks of experts. An expert belongs to each block to a degree,
  // above or below zero; the squares of its degrees sum to 1. A token has a normal weight for each
  // block, the same in all layers, so experts with like memberships go together.
  int blocks = 0;             // 0: none
  double block_strength = 0;  // logit of a token's weight 1 and a degree of 1
  double block_focus = 0;     // how much of the domain and topic preference is a leaning to blocks:
                              // weight per unit of domain_skew or topic_skew
  // Training may have balanced experts over the ranks that held them: contiguous ranges of equal
  // size, of which none is preferred as a whole and a token seldom takes two experts. 0: no such
  // ranges. Divides the experts.
  int balanced_ranges = 0;
  // 0 .. 1: correlation of a token's noise and weights with the last one's.
  double persistence = 0.3;
  uint64_t seed = 1;
};

inline constexpr int kMaxSyntheticDomains = 64;
inline constexpr int kMaxSyntheticBlocks = 64;

// INVALID_ARGUMENT names the first option out of range, with its value and the limit.
absl::Status Validate(const GeneratorOptions& options);

// "deepseek-v2-lite", "deepseek-v3", "qwen3-235b", "llama4-maverick", "gpt-oss-20b".
std::vector<std::string> PresetNames();
// NOT_FOUND lists the names.
absl::StatusOr<GeneratorOptions> Preset(const std::string& name);

// Requests in random order, named "<domain>-<number>". Deterministic in `options`; a request's
// routing depends on the seed, the options and its number, not on how many others there are.
// INVALID_ARGUMENT as Validate. `source` says "synthetic".
absl::StatusOr<Traffic> Generate(const GeneratorOptions& options);

}  // namespace advisor

#endif  // ADVISOR_CORE_SYNTH_GENERATOR_H_
