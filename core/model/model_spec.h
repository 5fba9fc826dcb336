#ifndef ADVISOR_CORE_MODEL_MODEL_SPEC_H_
#define ADVISOR_CORE_MODEL_MODEL_SPEC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace advisor {

// The shape of a Mixture-of-Experts model, as far as placement is concerned. The same keys as
// `model` in deployment files, trace headers and plan files.
struct ModelSpec {
  std::string name;
  int moe_layers = 0;     // 1 .. kMaxMoeLayers
  int hidden_layers = 0;  // all layers, dense ones too; 0: not stated
  // Hidden-layer index of MoE layer 0, when the MoE layers are consecutive.
  int first_moe_layer = 0;
  std::vector<int> moe_layer_indices;  // hidden-layer index of each MoE layer; empty: consecutive
  int experts = 0;                     // routed experts per layer, 1 .. kMaxExperts
  int top_k = 0;                       // experts per token, 1 .. experts
  int expert_groups = 0;               // group-limited routing; 0: none. Divides `experts`.
  int groups_per_token = 0;            // groups a token may use; 0: no limit
  int hidden_size = 0;  // values per token crossing the network; 0: not stated (bytes read as 0)
  double dispatch_bytes_per_value = 1;  // FP8 dispatch
  double combine_bytes_per_value = 2;   // BF16 combine
  int64_t expert_bytes = 0;             // weights of one expert of one layer; 0: not stated

  friend bool operator==(const ModelSpec&, const ModelSpec&) = default;

  // Bytes that one visit of one token to one remote node costs in one layer: dispatch there plus
  // combine back.
  double BytesPerVisit() const {
    return hidden_size * (dispatch_bytes_per_value + combine_bytes_per_value);
  }
  // Index of MoE layer `moe_layer` among all hidden layers.
  int HiddenLayer(int moe_layer) const {
    return moe_layer_indices.empty() ? first_moe_layer + moe_layer : moe_layer_indices[moe_layer];
  }
};

inline constexpr int kMaxMoeLayers = 256;  // limits are listed in README, "Limits"
inline constexpr int kMaxExperts = 1024;
inline constexpr int kMaxTopK = 64;
inline constexpr int kMaxMicrobatches = 16;

// INVALID_ARGUMENT naming the first key whose value is out of range, with the value and the limit.
absl::Status Validate(const ModelSpec& model);

// Identity of everything that makes counts and plans of two models incomparable: name, layers,
// experts, top-k, groups, expert bytes. Reports and plans with different fingerprints never mix.
uint64_t ModelFingerprint(const ModelSpec& model);

}  // namespace advisor

#endif  // ADVISOR_CORE_MODEL_MODEL_SPEC_H_
