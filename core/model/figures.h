#ifndef ADVISOR_CORE_MODEL_FIGURES_H_
#define ADVISOR_CORE_MODEL_FIGURES_H_

#include <cstdint>
#include <optional>

namespace advisor {

// A per-layer ratio summed up over layers.
struct MeanWorst {
  double mean = 0;
  double worst = 0;
  friend bool operator==(const MeanWorst&, const MeanWorst&) = default;
};

// What a plan does to a set of requests. The words and definitions are those of README, "Figures";
// the same in files, metrics and the status page. Figures that need whole tokens are unset where
// only counts are known.
struct Figures {
  int64_t tokens = 0;  // tokens known with their experts, in the phase judged
  std::optional<double> remote_visits_per_token_layer;  // distinct remote nodes per token and layer
  std::optional<double> internode_bytes_per_token;      // that x layers x bytes per visit
  double remote_activation_ratio = 0;      // (token, expert) pairs served away from home
  MeanWorst node_load;                     // largest over mean served activations per GPU, by node
  MeanWorst gpu_load;                      // largest over mean served activations, by GPU
  std::optional<double> max_pair_message;  // largest home-to-node message over tokens / nodes
  double home_token_max_over_mean = 0;     // tokens homed per GPU, largest over mean
  std::optional<double> saving_ratio;      // 1 - bytes / baseline bytes on the same requests
  std::optional<double> remote_activation_saving_ratio;  // 1 - remote activations / baseline's
  // Mean over layers and microbatches, where asked for.
  std::optional<double> distinct_experts_per_microbatch;
  // Estimates by a deployment's time model (core/cost/latency.h), set where one is given: modelled,
  // never measured.
  std::optional<double> modelled_moe_ms_per_step;  // all MoE layers of one decode step
  // Share of that time that experts keep the mean GPU busy.
  std::optional<double> modelled_gpu_utilisation;
  // The same of the baseline of saving_ratio.
  std::optional<double> modelled_baseline_moe_ms_per_step;
  std::optional<double> modelled_baseline_gpu_utilisation;
  friend bool operator==(const Figures&, const Figures&) = default;
};

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_FIGURES_H_
