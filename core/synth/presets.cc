#include "absl/strings/str_join.h"
#include "core/synth/generator.h"

namespace advisor {
namespace {

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
  o.blocks = 16;
  o.block_strength = 0.8;
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
  o.model.expert_bytes = 3LL * 2880 * 2880 * 17 / 32;  // MXFP4: 4 bits a value and 8 bits a block of 32
  o.domains = 13;
  o.domain_kinship = 0.8;
  o.blocks = 16;
  o.block_strength = 0.8;
  return o;
}

struct Entry {
  const char* name;
  GeneratorOptions (*make)();
};

constexpr Entry kPresets[] = {
    {"deepseek-v2-lite", DeepseekV2Lite},
    {"gpt-oss-20b", GptOss20b},
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
