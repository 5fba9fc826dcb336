#include "absl/strings/str_join.h"
#include "core/synth/generator.h"

namespace advisor {
namespace {

// Where each preset's figures come from, and how near it comes to them: the design note and
// tests/core/synth/presets_test.cc. Change a number there first.

GeneratorOptions DeepseekV2Lite() {
  GeneratorOptions o;
  o.model.name = "deepseek-v2-lite";
  o.model.moe_layers = 26;
  o.model.hidden_layers = 27;
  o.model.first_moe_layer = 1;
  o.model.experts = 64;
  o.model.top_k = 6;
  o.model.hidden_size = 2048;
  o.model.expert_bytes = 3LL * 2048 * 1408 * 2;  // BF16
  o.domains = 4;
  o.global_skew = 0.5;
  o.domain_skew = 1.0;
  o.topic_skew = 0.2;
  o.domain_kinship = 0.1;
  o.phase_correlation = 0.78;
  o.blocks = 6;
  o.block_strength = 3;
  o.block_focus = 0.33;
  o.persistence = 0.35;
  return o;
}

// After GLM-5.2 (75 x 256, top-8), the nearest relative with published counts.
GeneratorOptions DeepseekV3() {
  GeneratorOptions o;
  o.model.name = "deepseek-v3";
  o.model.moe_layers = 58;
  o.model.hidden_layers = 61;
  o.model.first_moe_layer = 3;
  o.model.experts = 256;
  o.model.top_k = 8;
  o.model.expert_groups = 8;
  o.model.groups_per_token = 4;
  o.model.hidden_size = 7168;
  o.model.expert_bytes = 3LL * 7168 * 2048;  // FP8
  o.domains = 10;
  o.global_skew = 0.3;
  o.domain_skew = 1.0;
  o.topic_skew = 0.4;
  o.domain_kinship = 0.2;
  o.domain_depth_ramp = 0.35;
  o.phase_correlation = 0.62;
  o.blocks = 8;
  o.block_strength = 3;
  o.block_focus = 0.2;
  o.persistence = 0.35;
  return o;
}

// After Qwen3-30B-A3B (48 x 128, top-8).
GeneratorOptions Qwen3235b() {
  GeneratorOptions o;
  o.model.name = "qwen3-235b";
  o.model.moe_layers = 94;
  o.model.hidden_layers = 94;
  o.model.experts = 128;
  o.model.top_k = 8;
  o.model.hidden_size = 4096;
  o.model.expert_bytes = 3LL * 4096 * 1536 * 2;  // BF16
  o.domains = 3;
  o.global_skew = 0.3;
  o.domain_skew = 1.9;
  o.topic_skew = 0.4;
  o.phase_correlation = 0.74;
  o.blocks = 8;
  o.block_strength = 3;
  o.block_focus = 0.2;
  o.persistence = 0.35;
  return o;
}

// No relative with counts: after the two figures published of Maverick itself.
GeneratorOptions Llama4Maverick() {
  GeneratorOptions o;
  o.model.name = "llama4-maverick";
  o.model.moe_layers = 24;
  o.model.hidden_layers = 48;
  for (int layer = 1; layer < o.model.hidden_layers; layer += 2) {
    o.model.moe_layer_indices.push_back(layer);
  }
  o.model.experts = 128;
  o.model.top_k = 1;
  o.model.hidden_size = 5120;
  o.model.expert_bytes = 3LL * 5120 * 8192 * 2;  // BF16
  o.domains = 4;
  o.global_skew = 0.4;
  o.domain_skew = 0.6;
  o.topic_skew = 0.4;
  o.phase_correlation = 0.88;
  o.blocks = 8;
  o.block_strength = 2;
  o.block_focus = 0.1;
  o.persistence = 0.35;
  return o;
}

GeneratorOptions GptOss20b() {
  GeneratorOptions o;
  o.model.name = "gpt-oss-20b";
  o.model.moe_layers = 24;
  o.model.hidden_layers = 24;
  o.model.experts = 32;
  o.model.top_k = 4;
  o.model.hidden_size = 2880;
  o.model.expert_bytes = 3LL * 2880 * 2880 * 17 / 32;  // MXFP4: 4 bits a value, 8 a block of 32
  o.domains = 13;
  o.global_skew = 2.4;
  o.domain_skew = 0.85;
  o.topic_skew = 1.1;
  o.domain_kinship = 0.4;
  o.phase_correlation = 0.98;
  o.blocks = 4;
  o.block_strength = 3;
  o.block_focus = 0.4;
  o.balanced_ranges = 4;
  o.persistence = 0.35;
  return o;
}

struct Entry {
  const char* name;
  GeneratorOptions (*make)();
};

constexpr Entry kPresets[] = {
    {"deepseek-v2-lite", DeepseekV2Lite}, {"deepseek-v3", DeepseekV3}, {"qwen3-235b", Qwen3235b},
    {"llama4-maverick", Llama4Maverick},  {"gpt-oss-20b", GptOss20b},
};

}  // namespace

std::vector<std::string> PresetNames() {
  std::vector<std::string> names;
  for (const Entry& entry : kPresets) {
    names.push_back(entry.name);
  }
  return names;
}

absl::StatusOr<GeneratorOptions> Preset(const std::string& name) {
  for (const Entry& entry : kPresets) {
    if (name == entry.name) {
      return entry.make();
    }
  }
  return absl::NotFoundError("preset \"" + name + "\" does not exist; choose one of " +
                             absl::StrJoin(PresetNames(), ", "));
}

}  // namespace advisor
